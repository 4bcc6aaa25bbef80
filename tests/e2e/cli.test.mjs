// The client commands, through the built binary: on a terminal and without one.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

import { cliOf, Command, run } from './lib/cli.mjs';
import { RawSession, text } from './lib/clients.mjs';
import { echo, temporaryDirectory, Unmcp, unmcpBinary } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

// A server of one tool that has arguments of all sorts, and answers with what it was called with.
const kTyped = `
  const say = (m) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...m }) + '\\n');
  process.stderr.write('typed is here\\n');
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined || !method) return;
    const tools = [{ name: 'all', inputSchema: { type: 'object', required: ['n'], additionalProperties: false,
      properties: { n: { type: 'integer' }, s: { type: 'string' }, b: { type: 'boolean' }, l: { type: 'array' } } } },
      { name: 'fail', inputSchema: { type: 'object' } }];
    if (method === 'initialize') say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} },
      serverInfo: { name: 'typed', version: '1' } } });
    else if (method === 'tools/list') say({ id, result: { tools } });
    else if (method === 'tools/call' && params.name === 'fail') say({ id, result: { isError: true,
      content: [{ type: 'text', text: 'it cannot be done' }] } });
    else if (method === 'tools/call') say({ id, result: { content: [{ type: 'text', text: JSON.stringify(params.arguments) }] } });
    else say({ id, result: {} });
  });`;

describe('client commands', () => {
  let unmcp, cli;
  const cleanups = [];
  before(async () => {
    const t = { name: 'client commands', after: (cleanup) => cleanups.push(cleanup) };
    unmcp = await Unmcp.up(t, {
      servers: {
        echo: echo(),
        awake: echo(),
        typed: { command: [process.execPath, '-e', kTyped] },
        broken: { command: ['/no/such/program'] },
      },
    });
    cli = cliOf(unmcp);
    for (const name of ['echo', 'typed', 'awake']) await unmcp.phase(name, 'Asleep', { and: ({ toolCount }) => toolCount > 0 });
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  test('get: a table, and nothing else on stdout', async (t) => {
    const { code, stdout, stderr } = await cli(t, ['get', 'servers']);
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split('\n');
    assert.match(lines[0], /^NAME +POOL +PHASE +TOOLS +CLIENTS +AGE$/);
    assert.deepEqual(lines.slice(1).map((line) => line.split(/ +/)[0]), ['awake', 'broken', 'echo', 'typed']);
    assert.match(lines[3], /^echo +default +Asleep +9 +0 +\d+\w+$/);
    assert.equal(stderr, '');
    assert.doesNotMatch(stdout, /\x1b/);
    const wide = await cli(t, ['get', 'mcp', 'echo', '-o', 'wide', '--no-headers']);
    assert.match(wide.stdout, /^echo .* stdio +\S*echo_server/);
  });

  test('get on a terminal: in colour, unless NO_COLOR says otherwise', async (t) => {
    const coloured = await cli(t, ['get', 'servers'], { terminal: true });
    assert.match(coloured.stdout, /\x1b\[31mDegraded\x1b\[0m/);
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const plain = await cli(t, ['get', 'servers'], { terminal: true, env });
      assert.match(plain.stdout, /Degraded/);
      assert.doesNotMatch(plain.stdout, /\x1b/);
    }
  });

  test('get -o yaml, json and name', async (t) => {
    const json = JSON.parse((await cli(t, ['get', 'server/echo', '-o', 'json'])).stdout);
    assert.equal(json.apiVersion, 'unmcp.dev/v1');
    assert.equal(json.kind, 'MCPServer');
    assert.equal(json.status.toolCount, 9);
    const list = JSON.parse((await cli(t, ['get', 'servers', '-o', 'json'])).stdout);
    assert.equal(list.kind, 'List');
    assert.equal(list.items.length, 4);
    assert.equal((await cli(t, ['get', 'servers', 'echo', '-o', 'name'])).stdout, 'mcpserver.unmcp.dev/echo\n');
    assert.match((await cli(t, ['get', 'servers', 'echo', '-o', 'yaml'])).stdout, /^apiVersion: unmcp.dev\/v1\nkind: MCPServer\n/);
  });

  test('get: what is not there', async (t) => {
    const missing = await cli(t, ['get', 'server', 'nobody']);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^Error from server \(NotFound\): .*"?nobody/);
    assert.equal(missing.stdout, '');
    const kind = await cli(t, ['get', 'pods']);
    assert.equal(kind.code, 2);
    assert.match(kind.stderr, /"pods".*servers.*unmcp get --help/);
    assert.equal((await cli(t, ['get'])).code, 2);
    assert.match((await cli(t, ['gte', 'servers'])).stderr, /unknown command gte; see unmcp --help/);
  });

  test('get pools', async (t) => {
    const { stdout, stderr } = await cli(t, ['get', 'pools']);
    assert.match(stdout, /^NAME +ACTIVE +PENDING +SERVERS +AGE\ndefault +\d+ +\d+ +4 /, stderr);
  });

  test('get --watch shows changes until Ctrl-C, which is 130', async (t) => {
    const watch = new Command(t, ['get', 'server', 'echo', '-w', '--data-dir', unmcp.dataDir], { terminal: true });
    await watch.prints(/echo +default/);
    const session = await RawSession.connect(t, unmcp.sse('echo'));
    await watch.prints(/echo +default +\S*Ready/);
    session.close();
    watch.type('\x03');
    assert.equal((await watch.end()).code, 130);
  });

  test('a closed pipe is quiet', async (t) => {
    const shell = await run(t, ['-o', 'pipefail', '-c',
      `for i in $(seq 3); do "${unmcpBinary()}" get servers --data-dir "${unmcp.dataDir}" | head -1; done; ` +
      `"${unmcpBinary()}" get servers -w --data-dir "${unmcp.dataDir}" | head -1`], { command: ['bash'] });
    assert.equal(shell.stderr, '');
    assert.equal(shell.stdout.split('\n').filter((line) => line.startsWith('NAME')).length, 4);
  });

  test('a full disk is not', async (t) => {
    const shell = await run(t, ['-c', `"${unmcpBinary()}" get servers --data-dir "${unmcp.dataDir}" > /dev/full`], { command: ['bash'] });
    assert.equal(shell.code, 1);
    assert.match(shell.stderr, /error: cannot write/);
  });

  test('describe', async (t) => {
    const { code, stdout, stderr } = await cli(t, ['describe', 'server', 'broken']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Name: +broken$/m);
    assert.match(stdout, /^Conditions:\n {2}TYPE/m);
    assert.match(stdout, /^ {2}Ready +False +\w+ +\w+ +.*\/no\/such\/program/m);
    assert.match(stdout, /^Events:\n {2}TYPE/m);
    assert.match((await cli(t, ['describe', 'pool', 'default'])).stdout, /^Members:\n {2}NAME/m);
    assert.equal((await cli(t, ['describe', 'server', 'nobody'])).code, 1);
  });

  test('start and stop wait, and show on a terminal for what', async (t) => {
    const started = await cli(t, ['start', 'awake'], { terminal: true });
    assert.equal(started.code, 0, started.stdout);
    assert.match(started.stdout, /waiting for server "awake" to be Ready/);
    assert.match(started.stdout, /mcpserver.unmcp.dev\/awake started/);
    assert.equal((await unmcp.server('awake')).status.phase, 'Ready');
    const stopped = await cli(t, ['stop', 'awake']);
    assert.deepEqual([stopped.code, stopped.stdout, stopped.stderr], [0, 'mcpserver.unmcp.dev/awake stopped\n', '']);
    assert.equal((await unmcp.server('awake')).status.phase, 'Asleep');
    const failed = await cli(t, ['start', 'broken']);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^error: server "broken" does not start: .*program/);
    assert.equal((await cli(t, ['stop', 'broken', '--timeout', '10s'])).code, 0);
  });

  test('stop --suspend: nobody wakes it until it is started', async (t) => {
    assert.equal((await cli(t, ['stop', 'awake', '--suspend'])).code, 0);
    const called = await cli(t, ['call', 'awake', 'echo', '--arg', 'text=x']);
    assert.equal(called.code, 1);
    assert.match(called.stderr, /suspend/i);
    assert.equal((await cli(t, ['start', 'awake'])).code, 0);
    assert.equal((await cli(t, ['call', 'awake', 'echo', '--arg', 'text=x'])).stdout, 'x\n');
  });

  test('logs', async (t) => {
    assert.equal((await cli(t, ['start', 'typed'])).code, 0);
    await until('its log has the line', async () => /^typed is here$/m.test((await cli(t, ['logs', 'typed'])).stdout));
    const follow = new Command(t, ['logs', 'server/typed', '-f', '--tail', '1', '--data-dir', unmcp.dataDir]);
    await follow.prints(/typed is here/);
    assert.equal((await cli(t, ['stop', 'typed'])).code, 0);
    assert.equal((await follow.end()).code, 0, 'it ends with the process');
    const asleep = await cli(t, ['logs', 'nobody']);
    assert.equal(asleep.code, 1);
    assert.match(asleep.stderr, /NotFound/);
  });

  test('call', async (t) => {
    const called = await cli(t, ['call', 'typed', 'all', '--arg', 'n=7', '--arg', 's=7', '--arg', 'b=true', '--arg', 'l=[1]']);
    assert.equal(called.code, 0, called.stderr);
    assert.deepEqual(JSON.parse(called.stdout), { n: 7, s: '7', b: true, l: [1] });
    const json = await cli(t, ['call', 'typed', 'all', '--json', '{"n":1}', '-o', 'json']);
    assert.deepEqual(JSON.parse(json.stdout), { content: [{ type: 'text', text: '{"n":1}' }] });
    const tools = await cli(t, ['call', 'typed']);
    assert.match(tools.stdout, /^all +b \(boolean\), l \(array\), n \(integer, required\), s \(string\)$/m);
    for (const [args, message] of [
      [['typed', 'all'], /the argument "n" \(integer\)/],
      [['typed', 'all', '--arg', 'n=x'], /"n" must be of type integer/],
      [['typed', 'all', '--arg', 'm=1'], /no argument "m".*n \(integer, required\)/],
      [['typed', 'al'], /no tool "al"; it has: all, fail/],
      [['typed', 'fail'], /^error: it cannot be done$/m],
      [['nobody', 'all'], /NotFound/],
      [['echo', 'crash'], /./],
    ]) {
      const failed = await cli(t, ['call', ...args]);
      assert.equal(failed.code, 1, args.join(' '));
      assert.equal(failed.stdout, '');
      assert.match(failed.stderr, message);
    }
    const terminal = await cli(t, ['call', 'echo', 'notify', '--arg', 'count=3'], { terminal: true });
    assert.match(terminal.stdout, /calling notify[^]*done\r\n$/);
  });

  const host = async (t, args) => {
    const client = new Client({ name: 'e2e', version: '1' });
    const errors = [];
    client.onerror = (error) => errors.push(error);
    const transport = new StdioClientTransport({ command: unmcpBinary(), args, stderr: 'pipe' });
    t.after(() => client.close());
    await client.connect(transport);
    const said = { text: '' };
    transport.stderr.on('data', (data) => (said.text += data));
    return { client, transport, errors, said };
  };

  test('connect is a stdio server to the official SDK', async (t) => {
    const { client, transport, errors, said } = await host(t, ['connect', 'echo', '--data-dir', unmcp.dataDir]);
    assert.equal(client.getServerVersion().name, 'echo');
    assert.equal((await client.listTools()).tools.length, 9);
    assert.equal(text(await client.callTool({ name: 'echo', arguments: { text: 'through a pipe' } })), 'through a pipe');
    const large = text(await client.callTool({ name: 'big', arguments: { bytes: 5_000_000 } }));
    assert.equal(large.length, 5_000_000);
    // The server's process ends with a call in flight: that call fails, and the next one does not.
    await assert.rejects(client.callTool({ name: 'crash' }));
    await until('connect knows', () => /session with server "echo" was lost/.test(said.text));
    assert.equal(text(await client.callTool({ name: 'echo', arguments: { text: 'again' } })), 'again');
    const { pid } = transport;
    await client.close();
    await until('connect has ended', () => { try { process.kill(pid, 0); return false; } catch { return true; } });
    assert.deepEqual(errors, []);
  });

  test('connect ends with its input, with 0, and has answered all', async (t) => {
    const lines = [
      { id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } } },
      { method: 'notifications/initialized' },
      { id: 1, method: 'tools/call', params: { name: 'slow', arguments: { ms: 100 } } },
    ];
    const input = lines.map((line) => JSON.stringify({ jsonrpc: '2.0', ...line })).join('\n');
    const { code, stdout } = await cli(t, ['connect', 'echo'], { input });
    assert.equal(code, 0);
    assert.deepEqual(stdout.trimEnd().split('\n').map((line) => JSON.parse(line).id), [0, 1]);
    const nobody = await cli(t, ['connect', 'nobody'], { input });
    assert.equal(nobody.code, 1);
    assert.equal(nobody.stdout, '');
    assert.match(nobody.stderr, /NotFound/);
  });

  test('config', async (t) => {
    const claude = await cli(t, ['config', 'claude', 'echo']);
    const { command, args } = JSON.parse(claude.stdout).mcpServers.echo;
    assert.match(claude.stderr, /claude_desktop_config\.json/);
    assert.match(claude.stderr, /claude mcp add --transport sse echo http/);
    const connected = new Client({ name: 'e2e', version: '1' });
    t.after(() => connected.close());
    await connected.connect(new StdioClientTransport({ command, args, stderr: 'ignore' }));
    assert.equal(connected.getServerVersion().name, 'echo');

    const cursor = JSON.parse((await cli(t, ['config', 'cursor', '--url', unmcp.url])).stdout);
    assert.deepEqual(Object.keys(cursor.mcpServers), ['awake', 'broken', 'echo', 'typed']);
    assert.deepEqual(cursor.mcpServers.echo, { url: unmcp.sse('echo').href });
    const code = JSON.parse((await cli(t, ['config', 'vscode', 'echo', '--url', unmcp.url])).stdout);
    assert.deepEqual(code, { servers: { echo: { type: 'sse', url: unmcp.sse('echo').href } } });
    assert.equal((await cli(t, ['config', 'emacs'])).code, 2);
    assert.equal((await cli(t, ['config', 'cursor', 'nobody'])).code, 1);
  });

  test('--help of each command has examples', async (t) => {
    const top = (await run(t, ['--help'])).stdout;
    for (const name of ['get', 'describe', 'delete', 'logs', 'start', 'stop', 'call', 'connect', 'config']) {
      assert.match(top, new RegExp(`^  ${name} +\\w`, 'm'));
      const { code, stdout } = await run(t, [name, '--help']);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`Usage: unmcp ${name} [^]*--server[^]*Examples:\\n  unmcp ${name} `));
    }
  });
});

test('delete: by name and by file, gone when it returns', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { one: echo(), two: echo(), three: echo() } });
  const cli = cliOf(unmcp);
  assert.equal((await cli(t, ['delete', 'server', 'one'])).stdout, 'mcpserver.unmcp.dev "one" deleted\n');
  assert.equal((await cli(t, ['get', 'server', 'one'])).code, 1);
  const again = await cli(t, ['delete', 'server', 'one']);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^Error from server \(NotFound\)/);
  assert.equal((await cli(t, ['delete', 'server/one', '--ignore-not-found'])).code, 0);
  const file = join(temporaryDirectory(t), 'mcp.json');
  writeFileSync(file, JSON.stringify({ mcpServers: { two: { command: 'x' } } }));
  const byFile = await cli(t, ['delete', '-f', file]);
  assert.equal(byFile.stdout, 'mcpserver.unmcp.dev "two" deleted\n', byFile.stderr);
  const pool = await cli(t, ['delete', 'pool', 'default']);
  assert.equal(pool.stdout, 'mcppool.unmcp.dev "default" deleted\n', pool.stderr);
  assert.equal((await cli(t, ['get', 'servers'])).stderr, 'No resources found in default namespace.\n');
});
