// Processes that die, do not start, or will not end.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { RawSession, request, sdks, text } from './lib/clients.mjs';
import { alive } from './lib/processes.mjs';
import { echo, everything, temporaryDirectory, Unmcp } from './lib/unmcp.mjs';
import { until, within } from './lib/until.mjs';

const kAtOnce = 1000; // ms: a caller must not wait for a timeout
const kBackWithin = 15_000; // ms: the first steps of the back-off

// Connects again and again, as a client would, until a call is answered.
async function answeredAgain(t, unmcp, name) {
  return until('a new session works', async () => {
    const session = await RawSession.open(t, unmcp.sse(name));
    if (session.response.statusCode !== 200) throw new Error(`GET: ${session.response.statusCode}`);
    await session.initialize();
    return text((await session.tool(1, 'pid')).result);
  }, { within: kBackWithin });
}

for (const end of ['kill -9', 'an exit']) {
  test(`${end} of the server in the middle of a call: the call fails at once, and the next session works`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
    const session = await RawSession.connect(t, unmcp.sse('echo'));
    const other = await RawSession.connect(t, unmcp.sse('echo'));
    const pid = Number(text((await session.tool('pid', 'pid')).result));
    const hanging = session.tool(7, 'hang', {}, { timeout: kAtOnce + 5000 });
    const others = other.tool(7, 'hang', {}, { timeout: kAtOnce + 5000 });
    await unmcp.phase('echo', 'Ready', { and: (status) => status.totalRequests >= 5 });
    const begin = performance.now();
    if (end === 'kill -9') {
      process.kill(pid, 'SIGKILL');
    } else {
      await other.post({ jsonrpc: '2.0', id: 8, method: 'tools/call', params: { name: 'crash' } });
    }
    for (const answer of [await hanging, await others]) {
      assert.equal(answer.id, 7);
      assert.equal(answer.error.code, -32603);
      assert.match(answer.error.message, end === 'kill -9' ? /SIGKILL|signal 9/ : /exit code 3/);
    }
    assert.ok(performance.now() - begin < kAtOnce, `it took ${performance.now() - begin} ms`);
    await until('the streams are closed, in good order', () => session.ended && other.ended);
    assert.deepEqual([session.ended, other.ended], ['end', 'end']);
    assert.notEqual(await answeredAgain(t, unmcp, 'echo'), String(pid));
  });
}

for (const sdk of sdks) {
  test(`${sdk.name}: kill -9 of the server in the middle of a call rejects the call, and a new client works`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
    const client = await sdk.connect(t, unmcp.sse('echo'));
    const pid = Number(text(await client.callTool({ name: 'pid', arguments: {} })));
    const hanging = client.callTool({ name: 'hang', arguments: {} }).then(
      () => assert.fail('the call was answered'),
      (error) => error,
    );
    await unmcp.phase('echo', 'Ready', { and: (status) => status.totalRequests >= 4 });
    process.kill(pid, 'SIGKILL');
    const error = await within(kAtOnce, 'the call fails', hanging);
    assert.equal(error.code, -32603);
    await answeredAgain(t, unmcp, 'echo');
    const next = await sdk.connect(t, unmcp.sse('echo'));
    assert.equal(text(await next.callTool({ name: 'echo', arguments: { text: 'still here' } })), 'still here');
  });
}

test('kill -9 of unmcp leaves no process of any server, and started again it has every server', async (t) => {
  const stubborn = echo({ command: [...echo().command, '--ignore-sigterm', '--ignore-eof'], idleTimeout: -1 });
  const unmcp = await Unmcp.up(t, { servers: { stubborn, plain: echo(), everything: everything() } });
  const survivors = [];
  for (const name of ['stubborn', 'plain']) {
    const session = await RawSession.connect(t, unmcp.sse(name));
    survivors.push(Number(text((await session.tool(1, 'fork')).result)));
  }
  await RawSession.connect(t, unmcp.sse('everything'));
  const processes = [...unmcp.serverProcesses(), ...unmcp.descendants()];
  for (const pid of survivors) assert.ok(alive(pid) && processes.includes(pid));

  unmcp.process.kill('SIGKILL');
  await until('no process is left', () => !processes.some(alive), { within: 3000 });
  assert.deepEqual(unmcp.serverProcesses(), []);

  const again = await Unmcp.up(t, { dataDir: unmcp.dataDir, tag: unmcp.tag });
  const { json } = await again.get('/api/v1/servers');
  assert.deepEqual(json.items.map(({ name }) => name).sort(), ['everything', 'plain', 'stubborn']);
  const session = await RawSession.connect(t, again.sse('stubborn'));
  assert.equal(text((await session.tool(1, 'echo', { text: 'back' })).result), 'back');
});

test('what a server leaves behind ends with it when it is put to sleep', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo({ idleTimeout: 1 }) } });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const survivor = Number(text((await session.tool(1, 'fork')).result));
  session.close();
  await unmcp.asleep('echo');
  await until('the survivor is gone', () => !alive(survivor));
});

test('a server that cannot start is 503 with Retry-After, says why, and harms no other', async (t) => {
  const unmcp = await Unmcp.up(t, {
    servers: {
      failing: { command: ['sh', '-c', 'echo no such luck >&2; exit 9'] },
      missing: { command: ['no-such-program-anywhere'] },
      echo: echo(),
    },
  });
  for (const [name, why] of [['failing', /exit code 9|no such luck/], ['missing', /no-such-program-anywhere/]]) {
    // The first request may find the server untried: its stream opens, and its call fails.
    const refused = await until(`${name} is refused`, async () => {
      const session = await RawSession.open(t, unmcp.sse(name));
      if (session.response.statusCode === 200) {
        const answer = await session.call(1, 'initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'c', version: '1' } });
        assert.ok(answer.error, 'a server that is not there answered');
        session.close();
        return false;
      }
      session.close();
      return session.response;
    }, { within: kBackWithin });
    assert.equal(refused.statusCode, 503);
    assert.match(refused.headers['retry-after'], /^[1-9]\d*$/);
    const body = await request(unmcp.sse(name));
    assert.equal(body.status, 503);
    assert.match(body.text, why);
    const { status } = await unmcp.server(name);
    assert.equal(status.phase, 'Degraded');
    assert.match(JSON.stringify(status.conditions), why);
  }
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  assert.equal(text((await session.tool(1, 'echo', { text: 'fine' })).result), 'fine');
});

test('a server that closes its output and lives on is ended, said to fail, and tried again', async (t) => {
  // The first lives are mute; what comes later is in order.
  const flag = join(temporaryDirectory(t), 'mended');
  const script = `if [ -e ${flag} ]; then exec ${echo().command[0]}; fi; exec >&-; exec sleep 1000`;
  const unmcp = await Unmcp.up(t, { servers: { mute: { command: ['sh', '-c', script] } } });
  const failed = await unmcp.phase('mute', 'Degraded', { within: 20_000 });
  assert.match(JSON.stringify(failed.status.conditions), /stdout|output/);
  await until('its process is gone', () => unmcp.serverProcesses().length === 0);
  writeFileSync(flag, '');
  await answeredAgain(t, unmcp, 'mute');
});
