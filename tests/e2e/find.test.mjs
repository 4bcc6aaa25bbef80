// How client commands find an `unmcp up`, and find it again.
// One arrangement: it is about what `unmcp up` says of itself.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

import { cliOf, run } from './lib/cli.mjs';
import { text } from './lib/clients.mjs';
import { echo, temporaryDirectory, Unmcp, unmcpBinary } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

test('get -o yaml can be applied by another unmcp', async (t) => {
  const first = await Unmcp.up(t, { servers: { echo: echo({ args: ['--mark=a: b'], idleTimeout: 7 }) } });
  const file = join(temporaryDirectory(t), 'all.yaml');
  writeFileSync(file, (await cliOf(first)(t, ['get', 'servers', '-o', 'yaml'])).stdout);
  const second = await Unmcp.up(t, { args: ['-f', file] });
  assert.deepEqual((await second.server('echo')).spec, (await first.server('echo')).spec);
});

test('config: the URLs are those of the unmcp that was found', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const cursor = JSON.parse((await cliOf(unmcp)(t, ['config', 'cursor'])).stdout);
  assert.deepEqual(cursor.mcpServers, { echo: { url: unmcp.sse('echo').href } });
});

test('where unmcp is: it is found on any port, and its absence is said at once', async (t) => {
  const home = temporaryDirectory(t);
  const env = { XDG_DATA_HOME: home };
  const unmcp = await Unmcp.up(t, { dataDir: join(home, 'unmcp'), servers: { echo: echo() } });
  assert.match((await run(t, ['get', 'servers'], { env })).stdout, /^echo /m);
  const { grpc } = JSON.parse(readFileSync(join(home, 'unmcp/endpoints.json'), 'utf8'));
  assert.match((await run(t, ['get', 'servers', '--server', grpc])).stdout, /^echo /m);
  assert.match((await run(t, ['get', 'servers'], { env: { UNMCP_SERVER: grpc } })).stdout, /^echo /m);

  unmcp.process.kill('SIGKILL'); // what it has written stays behind
  await unmcp.ended;
  for (const args of [['get', 'servers'], ['call', 'echo', 'echo'], ['connect', 'echo'], ['stop', 'echo']]) {
    const begin = performance.now();
    const { code, stdout, stderr } = await run(t, [...args, '--server', grpc], { env });
    assert.ok(performance.now() - begin < 3000);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /unmcp is not running at 127\.0\.0\.1:\d+: start it with `unmcp up`, or name another with --server/);
  }
  assert.equal((await run(t, ['get', 'servers', '--server', 'http://127.0.0.1:8080'])).code, 2);
});

test('connect outlives a restart of unmcp, also on other ports', async (t) => {
  const first = await Unmcp.up(t, { servers: { echo: echo() } });
  const { grpc } = JSON.parse(readFileSync(join(first.dataDir, 'endpoints.json'), 'utf8'));
  const port = grpc.split(':')[1];
  const errors = [];
  const connect = async (...flags) => {
    const client = new Client({ name: 'e2e', version: '1' });
    t.after(() => client.close());
    client.onerror = (error) => errors.push(error);
    await client.connect(new StdioClientTransport({ command: unmcpBinary(), args: ['connect', 'echo', ...flags], stderr: 'ignore' }));
    return client;
  };
  const byAddress = await connect('--server', grpc);
  const byDirectory = await connect('--data-dir', first.dataDir);
  const say = async (client, words) => text(await client.callTool({ name: 'echo', arguments: { text: words } }));
  assert.equal(await say(byAddress, 'before'), 'before');
  assert.equal(await first.stop(), 0);
  const call = say(byAddress, 'while it is away');
  const second = new Unmcp(['--port', '0', '--grpc-port', port, '--data-dir', first.dataDir]);
  t.after(() => second.kill());
  assert.equal(await call, 'while it is away');
  assert.equal(await say(byDirectory, 'same port'), 'same port');
  await until('it is ready', () => second.url);
  assert.equal(await second.stop(), 0);
  const next = say(byDirectory, 'another port');
  const third = new Unmcp(['--port', '0', '--grpc-port', '0', '--data-dir', first.dataDir]);
  t.after(() => third.kill());
  assert.equal(await next, 'another port');
  assert.deepEqual(errors, []);
});
