// The three programs, each with an end of its own.
// One arrangement: it starts the three programs itself.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { RawSession, text } from './lib/clients.mjs';
import { alive } from './lib/processes.mjs';
import { echo, programBinary, Program, SeparatePrograms, unmcpBinary } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

const kBackWithin = 20_000; // ms: the back-off of a stream between programs, and a start
const parts = ['controller', 'apiserver', 'gateway'];

const pidOf = async (session) => Number(text((await session.tool('pid', 'pid')).result));

// Connects again and again, as a client would, until a call is answered.
function workingAgain(t, unmcp) {
  return until('a new session works', async () => {
    const session = await RawSession.open(t, unmcp.sse('echo'));
    if (session.response.statusCode !== 200) throw new Error(`GET: ${session.response.statusCode}`);
    await session.initialize();
    return pidOf(session);
  }, { within: kBackWithin });
}

for (const order of [['gateway', 'apiserver', 'controller'], ['apiserver', 'controller', 'gateway']]) {
  test(`started as ${order.join(', ')}, they find each other, and end with 0`, async (t) => {
    const unmcp = await SeparatePrograms.start(t, { servers: { echo: echo({ idleTimeout: -1 }) }, order });
    const session = await RawSession.connect(t, unmcp.sse('echo'));
    assert.ok(alive(await pidOf(session)));
    assert.equal(await unmcp.stop(), 0);
    assert.deepEqual(unmcp.serverProcesses(), []);
  });
}

test('their sockets are for their user alone, and each has one owner', async (t) => {
  const unmcp = await SeparatePrograms.start(t);
  const directory = join(unmcp.dataDir, 'run');
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const socket of ['cluster.sock', 'apiserver.sock', 'apiserver.sock.api']) {
    assert.equal(statSync(join(directory, socket)).mode & 0o777, 0o600, socket);
  }
  const second = new Program(programBinary('apiserver'), ['--data-dir', unmcp.dataDir, '--grpc-port', '0']);
  assert.equal(await second.ended, 1);
  assert.match(second.stderr, /another unmcp-apiserver listens on/);
  assert.equal((await unmcp.get('/ready')).status, 200);
});

test('kill -9 of the gateway: the servers stay, and are there for the next one', async (t) => {
  const unmcp = await SeparatePrograms.start(t, { servers: { echo: echo({ idleTimeout: -1 }) } });
  const pid = await pidOf(await RawSession.connect(t, unmcp.sse('echo')));
  await unmcp.gateway.kill();
  assert.ok(alive(pid));
  await unmcp.startPart('gateway').untilReady();
  assert.equal(await workingAgain(t, unmcp), pid);
});

test('kill -9 of the apiserver: the gateway says 503 until there is one again', async (t) => {
  const unmcp = await SeparatePrograms.start(t, { servers: { echo: echo({ idleTimeout: -1 }) } });
  await RawSession.connect(t, unmcp.sse('echo'));
  await unmcp.apiserver.kill();
  await until('the gateway is not ready', async () => (await unmcp.get('/ready')).status === 503);
  assert.equal((await unmcp.get('/api/v1/servers')).status, 503);
  assert.equal((await unmcp.get('/api/v1/servers/echo/sse')).status, 503);
  assert.equal((await unmcp.get('/health')).status, 200);
  await unmcp.startPart('apiserver').untilReady();
  assert.ok(alive(await workingAgain(t, unmcp)));
});

test('kill -9 of the controller: its servers end with it, the API goes on, and the next one wakes them', async (t) => {
  const unmcp = await SeparatePrograms.start(t, { servers: { echo: echo({ idleTimeout: -1 }) } });
  const pid = await pidOf(await RawSession.connect(t, unmcp.sse('echo')));
  await unmcp.controller.kill();
  await until('no process is left', () => unmcp.serverProcesses().length === 0);
  assert.equal((await unmcp.server('echo')).name, 'echo');
  await unmcp.startPart('controller').untilReady();
  assert.notEqual(await workingAgain(t, unmcp), pid);
});

test('unmcp server is apiserver and gateway beside a controller', async (t) => {
  const unmcp = await SeparatePrograms.start(t, { servers: { echo: echo() } });
  await unmcp.apiserver.stop();
  await unmcp.gateway.stop();
  unmcp.apiserver = undefined;
  unmcp.gateway = new Program(unmcpBinary(), ['server', '--data-dir', unmcp.dataDir, '--port', unmcp.port, '--grpc-port', '0']);
  await unmcp.gateway.untilReady();
  assert.ok(alive(await workingAgain(t, unmcp)));
  assert.equal(await unmcp.stop(), 0);
});

test('operator and server without a cluster say so, and name unmcp up', async () => {
  const env = { PATH: process.env.PATH, HOME: '/nonexistent' };
  for (const command of ['operator', 'server']) {
    const program = new Program(unmcpBinary(), [command], { env });
    assert.equal(await program.ended, 1);
    assert.match(program.stderr, /no Kubernetes cluster.*unmcp up/);
  }
  const neither = new Program(unmcpBinary(), ['operator', '--disable-api', '--disable-operator'], { env });
  assert.equal(await neither.ended, 2);
  assert.match(neither.stderr, /--disable-api.*see unmcp operator --help/);
});

for (const part of parts) {
  test(`unmcp-${part}: a wrong command line is 2, and names the flag`, async () => {
    const wrong = new Program(programBinary(part), ['--nonsense']);
    assert.equal(await wrong.ended, 2);
    assert.match(wrong.stderr, new RegExp(`unmcp-${part}: unknown flag --nonsense; see unmcp-${part} --help`));
  });
}
