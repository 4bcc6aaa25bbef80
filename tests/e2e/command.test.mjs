// `unmcp up` as a command: what it prints, how it fails, how it stops.
// One arrangement: it is about `unmcp up` itself.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import { RawSession, text } from './lib/clients.mjs';
import { alive } from './lib/processes.mjs';
import { echo, temporaryDirectory, Unmcp, unmcpBinary } from './lib/unmcp.mjs';
import { until, within } from './lib/until.mjs';

const kFailsWithin = 10_000; // ms

// Runs `unmcp up` that has to fail; returns what it says.
async function fails(t, args, options) {
  const unmcp = new Unmcp(args, options);
  t.after(() => unmcp.kill());
  const code = await within(kFailsWithin, `unmcp up ${args.join(' ')} ends`, unmcp.ended);
  assert.ok(Number.isInteger(code) && code > 0, `exit code ${code}`);
  assert.doesNotMatch(unmcp.stdout.join('\n'), /^ready/m);
  assert.doesNotMatch(unmcp.stderr, /Check failure|\*\*\* (SIG|Aborted)|terminate called/);
  return unmcp.stderr;
}

const free = ['--port', '0', '--grpc-port', '0'];

test('it prints ready, and a line for each declared server', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { one: echo(), two: echo() } });
  assert.match(unmcp.stdout[0], /^ready http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  const lines = await until('a line for each', () => unmcp.stdout.length >= 3 && unmcp.stdout.slice(1));
  for (const name of ['one', 'two']) {
    const line = lines.find((line) => line.trim().startsWith(`${name} `));
    assert.match(line ?? '', /^\s+\w+\s+(Asleep|Ready|Starting|Stopping)\s+9 tools\s+http:\S+$/, lines.join('\n'));
    assert.ok(line.endsWith(unmcp.sse(name).href));
  }
});

test('a directory of manifests is read, and declaring them twice changes nothing', async (t) => {
  const unmcp = await Unmcp.up(t);
  const directory = temporaryDirectory(t);
  const manifest = (name) => `apiVersion: unmcp.dev/v1\nkind: MCPServer\nmetadata:\n  name: ${name}\nspec:\n  command: [${echo().command[0]}]\n`;
  writeFileSync(join(directory, 'a.yaml'), `# a comment\n${manifest('first')}---\n${manifest('second')}`);
  writeFileSync(join(directory, 'b.yml'), manifest('third'));
  writeFileSync(join(directory, 'notes.txt'), 'not a manifest');
  await unmcp.stop();
  let uids;
  for (let run = 0; run < 2; run++) {
    const again = await Unmcp.up(t, { dataDir: unmcp.dataDir, args: ['-f', directory] });
    const items = await until('three servers', async () => {
      const { json } = await again.get('/api/v1/servers');
      return json.items.length === 3 && json.items;
    });
    assert.deepEqual(items.map(({ name }) => name).sort(), ['first', 'second', 'third']);
    uids ??= items.map(({ uid }) => uid);
    assert.deepEqual(items.map(({ uid }) => uid), uids);
    assert.equal(await again.stop(), 0);
  }
});

test('a port in use: an error that names it, and what to do', async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.on('listening', resolve));
  t.after(() => taken.close());
  const port = String(taken.address().port);
  const directory = temporaryDirectory(t);
  for (const [option, other] of [['--port', '--grpc-port'], ['--grpc-port', '--port']]) {
    const said = await fails(t, [option, port, other, '0', '--data-dir', join(directory, option)]);
    assert.match(said, new RegExp(`${port}.*in use|in use.*${port}`, 'is'));
    assert.match(said, new RegExp(`${option}\\b`));
  }
});

test('a data directory that cannot be written: an error that names it', async (t) => {
  const directory = temporaryDirectory(t);
  const dataDir = join(directory, 'data');
  mkdirSync(dataDir);
  chmodSync(dataDir, 0o555);
  // Root may write everywhere: run as somebody else then, from where he may read.
  const options = { cwd: directory };
  if (process.getuid() === 0) {
    options.binary = join(directory, 'unmcp');
    copyFileSync(unmcpBinary(), options.binary);
    chmodSync(options.binary, 0o755);
    Object.assign(options, { uid: 65534, gid: 65534 });
  }
  const said = await fails(t, [...free, '--data-dir', dataDir], options);
  assert.ok(said.includes(dataDir), said);
  assert.match(said, /permission|writ/i);
  assert.match(said, /--data-dir/);

  const file = join(directory, 'file');
  writeFileSync(file, '');
  assert.ok((await fails(t, [...free, '--data-dir', join(file, 'below')], { cwd: directory })).includes(file));
});

test('a second unmcp on one data directory: an error that says so, and the first goes on', async (t) => {
  const first = await Unmcp.up(t, { servers: { echo: echo() } });
  const said = await fails(t, [...free, '--data-dir', first.dataDir]);
  assert.ok(said.includes(first.dataDir), said);
  assert.match(said, /another|already|in use/i);
  assert.match(said, /--data-dir/);
  const session = await RawSession.connect(t, first.sse('echo'));
  assert.equal(text((await session.tool(1, 'echo', { text: 'unharmed' })).result), 'unharmed');
});

test('a manifest that is wrong: an error that names the file and the field', async (t) => {
  const directory = temporaryDirectory(t);
  const bad = async (name, content) => {
    const file = join(directory, name);
    writeFileSync(file, content);
    const said = await fails(t, [...free, '--data-dir', join(directory, 'data'), '-f', file]);
    assert.ok(said.includes(name), said);
    return said;
  };
  const manifest = (spec) => `apiVersion: unmcp.dev/v1\nkind: MCPServer\nmetadata: {name: bad}\nspec: ${spec}\n`;
  assert.match(await bad('type.yaml', manifest('{command: [x], idleTimeout: soon}')), /idleTimeout/);
  assert.match(await bad('transport.yaml', manifest('{command: [x], transport: {type: pigeon}}')), /transport\.type/);
  assert.match(await bad('name.yaml', 'apiVersion: unmcp.dev/v1\nkind: MCPServer\nmetadata: {name: Not_A_Name}\nspec: {command: [x]}\n'), /name/);
  assert.match(await bad('kind.yaml', 'apiVersion: unmcp.dev/v1\nkind: Pigeon\nmetadata: {name: bad}\n'), /Pigeon/);
  await bad('syntax.yaml', 'a: [1');
  const missing = join(directory, 'missing.yaml');
  assert.ok((await fails(t, [...free, '--data-dir', join(directory, 'data'), '-f', missing])).includes(missing));
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal}: streams end in good order, nothing is left, exit code 0`, async (t) => {
    // Never asleep: after its discovery it would be stopped, which takes its grace period.
    const stubborn = echo({ command: [...echo().command, '--ignore-sigterm', '--ignore-eof'], idleTimeout: -1 });
    const unmcp = await Unmcp.up(t, { servers: { echo: echo(), stubborn } });
    const sessions = await Promise.all(['echo', 'echo', 'stubborn'].map((name) => RawSession.connect(t, unmcp.sse(name))));
    await sessions[2].tool(1, 'fork');
    const processes = [...unmcp.serverProcesses(), ...unmcp.descendants()];
    assert.ok(processes.length >= 3);
    unmcp.process.kill(signal);
    await until('exit', () => unmcp.exited, { within: 10_000 });
    assert.equal(unmcp.exitCode, 0, unmcp.stderr);
    await until('every stream has ended', () => sessions.every(({ ended }) => ended));
    assert.deepEqual(sessions.map(({ ended }) => ended), ['end', 'end', 'end']);
    assert.deepEqual(processes.filter(alive), []);
    assert.deepEqual(unmcp.serverProcesses(), []);
  });
}

test('SIGTERM: readiness goes before the streams do', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  // A connection that is there already: what a load balancer's probe would ask on.
  const ready = () => unmcp.get('/ready').then(({ status }) => status, () => 'refused');
  assert.equal(await ready(), 200);
  unmcp.process.kill('SIGTERM');
  const seen = [];
  await until('it is not ready', async () => {
    const streamWasOpen = !session.ended;
    seen.push({ status: await ready(), streamWasOpen });
    return seen.at(-1).status !== 200;
  });
  const late = seen.filter(({ status, streamWasOpen }) => status === 200 && !streamWasOpen);
  assert.deepEqual(late, [], 'it was ready when a stream had ended');
  await until('exit', () => unmcp.exited, { within: 10_000 });
  assert.equal(unmcp.exitCode, 0);
});

test('started again it has what it had', async (t) => {
  const first = await Unmcp.up(t, { servers: { echo: echo({ idleTimeout: -1 }) } });
  const session = await RawSession.connect(t, first.sse('echo'));
  for (let id = 1; id <= 10; id++) await session.tool(id, 'echo', { text: 'x' });
  const before = await first.phase('echo', 'Ready', { and: ({ totalRequests }) => totalRequests >= 12 });
  assert.equal(await first.stop(), 0);

  const second = await Unmcp.up(t, { dataDir: first.dataDir, tag: first.tag });
  const after = await second.server('echo');
  assert.equal(after.uid, before.uid);
  assert.equal(after.createdAt, before.createdAt);
  assert.deepEqual(after.spec, before.spec);
  assert.deepEqual(after.status.serverInfo, before.status.serverInfo);
  assert.equal(after.status.toolCount, before.status.toolCount);
  assert.ok(after.status.totalRequests >= before.status.totalRequests, 'requests are counted over restarts');
  const again = await RawSession.connect(t, second.sse('echo'));
  assert.equal(text((await again.tool(1, 'echo', { text: 'again' })).result), 'again');
});

test('every request is counted over a stop and a start, also those of the last moment', async (t) => {
  const first = await Unmcp.up(t, { servers: { echo: echo() } });
  const session = await RawSession.connect(t, first.sse('echo'));
  for (let id = 1; id <= 50; id++) await session.tool(id, 'echo', { text: 'x' });
  assert.equal(await first.stop(), 0);
  const second = await Unmcp.up(t, { dataDir: first.dataDir, tag: first.tag });
  const { status } = await second.server('echo');
  assert.equal(status.totalRequests, 52); // initialize and initialized, and the calls
  assert.equal(status.currentConnections, 0);
});

test('what ran before a restart runs as it is declared now, and not as it was', async (t) => {
  const declared = (mark) => echo({ idleTimeout: -1, args: [`--mark=${mark}`] });
  const first = await Unmcp.up(t, { servers: { echo: declared('old') } });
  await RawSession.connect(t, first.sse('echo'));
  const before = await first.server('echo');
  assert.equal(await first.stop(), 0);

  const second = await Unmcp.up(t, { dataDir: first.dataDir, tag: first.tag, servers: { echo: declared('new') } });
  await RawSession.connect(t, second.sse('echo'));
  const commandLines = second.serverProcesses().map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  assert.equal(commandLines.length, 1);
  assert.ok(commandLines[0].includes('--mark=new'), commandLines[0]);
  const after = await second.server('echo');
  assert.equal(after.status.incarnation, before.status.incarnation + 1, 'there was no life in between');
});

test('SIGTERM: a call in flight is answered with an error before its stream ends', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const call = session.tool(1, 'hang');
  await unmcp.phase('echo', 'Ready', { and: (status) => !status.isIdle });
  unmcp.process.kill('SIGTERM');
  const { error } = await call;
  assert.equal(error.code, -32603);
  assert.match(error.message, /stopping/);
});
