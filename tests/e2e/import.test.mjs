// The files that people have for their MCP clients, given to `up -f` and `apply -f`.
// One arrangement: it asks `unmcp up` where it is.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { cliOf, Command } from './lib/cli.mjs';
import { temporaryDirectory, Unmcp, unmcpBinary } from './lib/unmcp.mjs';

// A server that tells what its process got.
const kTelling = `
  const say = (m) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...m }) + '\\n');
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined || !method) return;
    if (method === 'initialize') say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} },
      serverInfo: { name: 'telling', version: '1' } } });
    else if (method === 'tools/list') say({ id, result: { tools: [{ name: 'tell', inputSchema: { type: 'object' } }] } });
    else if (method === 'tools/call') say({ id, result: { content: [{ type: 'text', text: JSON.stringify({
      env: process.env, args: process.argv.slice(2), cwd: process.cwd(), pid: process.pid }) }] } });
    else say({ id, result: {} });
  });`;

// It is run by its name, as a user's own server is.
function project(t, file, content) {
  const folder = temporaryDirectory(t);
  writeFileSync(join(folder, 'server.cjs'), kTelling);
  mkdirSync(join(folder, file, '..'), { recursive: true });
  writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
  return { folder, file: join(folder, file) };
}

const told = async (t, cli, server) => {
  const { code, stdout, stderr } = await cli(t, ['call', server, 'tell']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};

// Nobody is told a secret, and no file that others can read has it.
async function assertKept(t, unmcp, cli, server, secret) {
  const seen = [unmcp.stderr];
  for (const path of ['', `/${server}`, `/${server}/events`]) seen.push((await unmcp.get(`/api/v1/servers${path}`)).text);
  for (const args of [['get', 'server', server, '-o', 'yaml'], ['get', 'server', server, '-o', 'wide'],
    ['describe', 'server', server], ['logs', server]]) {
    const { stdout, stderr } = await cli(t, args);
    seen.push(stdout, stderr);
  }
  const base64 = Buffer.from(secret).toString('base64');
  for (const text of seen) assert.ok(!text.includes(secret) && !text.includes(base64), text);
  for (const name of readdirSync(unmcp.dataDir, { recursive: true })) {
    const file = join(unmcp.dataDir, name);
    const stat = statSync(file);
    if (!stat.isFile() || (stat.mode & 0o077) === 0) continue;
    const content = readFileSync(file, 'latin1');
    assert.ok(!content.includes(secret) && !content.includes(base64), file);
  }
}

test('up -f claude_desktop_config.json', async (t) => {
  const { folder, file } = project(t, 'claude_desktop_config.json', '');
  const secret = 'pa$$word$(HOME)${HOME}x';
  writeFileSync(file, `\uFEFF{\r
    "globalShortcut": "Alt+C", // a setting of Claude's
    "mcpServers": {\r
      "My Server": { "command": "${process.execPath}", "args": ["${folder}/server.cjs", "$HOME", "$(HOME)"],
                     "env": { "MY_API_KEY": ${JSON.stringify(secret.replace('${HOME}', '${NOT_THERE:-}'))}, "PORT": 80, }, },
      "off": { "command": "nothing", "disabled": true, "autoApprove": ["x"] },
    },\r
  }\r\n`);
  const unmcp = await Unmcp.up(t, { args: ['-f', file] });
  const cli = cliOf(unmcp);
  assert.match(unmcp.stderr, /"My Server" is declared as "my-server"/);
  await unmcp.phase('my-server', 'Asleep', { and: ({ toolCount }) => toolCount === 1 });
  assert.equal((await unmcp.server('off')).spec.suspend, true);
  const process_ = await told(t, cli, 'my-server');
  const value = secret.replace('${HOME}', '');
  assert.equal(process_.env.MY_API_KEY, value);
  assert.equal(process_.env.PORT, '80');
  assert.deepEqual(process_.args, ['$HOME', '$(HOME)']);
  await assertKept(t, unmcp, cli, 'my-server', value);

  const again = await cli(t, ['apply', '-f', file]);
  assert.equal(again.stdout, 'mcpserver.unmcp.dev/my-server unchanged\nmcpserver.unmcp.dev/off unchanged\n', again.stderr);
  writeFileSync(file, readFileSync(file, 'utf8').replace('pa$$word', 'an$$ther'));
  const changed = await cli(t, ['apply', '-f', file, '--wait']);
  assert.match(changed.stdout, /my-server configured\n.*off unchanged\n/, changed.stderr);
  const next = await told(t, cli, 'my-server');
  assert.equal(next.env.MY_API_KEY, value.replace('pa$$word', 'an$$ther'));
  assert.notEqual(next.pid, process_.pid);
});

describe('apply -f .vscode/mcp.json', () => {
  const configuration = {
    inputs: [
      { type: 'promptString', id: 'api-key', description: 'API Key', password: true },
      { type: 'pickString', id: 'mode', description: 'Mode', options: ['ro', 'rw'], default: 'ro' },
    ],
    servers: {
      tell: { type: 'stdio', command: process.execPath, args: ['server.cjs', '--mode=${input:mode}', '--pass=${input:api-key}'],
        env: { OPAQUE: '${input:api-key}' } },
    },
  };
  const secret = 'hush-$$-7d1f';

  test('asks on a terminal, and does not show a password', async (t) => {
    const unmcp = await Unmcp.up(t);
    const cli = cliOf(unmcp);
    const { folder, file } = project(t, '.vscode/mcp.json', configuration);
    const apply = new Command(t, ['apply', '-f', file, '--data-dir', unmcp.dataDir], { terminal: true });
    await apply.prints(/number or value \[ro\]: $/);
    apply.type('2\n');
    await apply.prints(/API Key: $/);
    apply.type(`${secret}\n`);
    await apply.prints(/tell created/);
    assert.equal((await apply.end()).code, 0, apply.stdout);
    assert.ok(!apply.stdout.includes(secret));
    const { env, args, cwd } = await told(t, cli, 'tell');
    assert.equal(env.OPAQUE, secret);
    assert.deepEqual(args, ['--mode=rw', `--pass=${secret}`]);
    assert.equal(cwd, folder);
    await assertKept(t, unmcp, cli, 'tell', secret);
  });

  test('takes --input and UNMCP_INPUT_X, and without them names what is missing', async (t) => {
    const unmcp = await Unmcp.up(t);
    const cli = cliOf(unmcp);
    const { file } = project(t, '.vscode/mcp.json', configuration);
    const missing = await cli(t, ['apply', '-f', file, '--input', 'mode=ro']);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /"api-key" \(API Key\).*--input api-key=VALUE.*UNMCP_INPUT_API_KEY=VALUE/);
    const wrong = await cli(t, ['apply', '-f', file, '--input', 'mode=full'], { env: { UNMCP_INPUT_API_KEY: secret } });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /input mode: must be one of ro, rw/);
    assert.deepEqual((await unmcp.get('/api/v1/servers')).json.items, []);

    const created = await cli(t, ['apply', '-f', file, '--input', 'mode=rw'], { env: { UNMCP_INPUT_API_KEY: secret } });
    assert.match(created.stdout, /tell created/, created.stderr);
    // It is started once to learn what it is; the process that is asked is another.
    await unmcp.phase('tell', 'Asleep', { and: ({ toolCount }) => toolCount === 1 });
    const before = await told(t, cli, 'tell');
    assert.equal(before.env.OPAQUE, secret);
    const same = await cli(t, ['apply', '-f', file, '--input', 'mode=rw', '--input', `api-key=${secret}`]);
    assert.match(same.stdout, /tell unchanged/, same.stderr);
    assert.equal((await told(t, cli, 'tell')).pid, before.pid);
    const changed = await cli(t, ['apply', '-f', file, '--wait', '--input', 'mode=rw', '--input', 'api-key=other-9c2e']);
    assert.match(changed.stdout, /tell configured/, changed.stderr);
    const now = await told(t, cli, 'tell');
    assert.equal(now.env.OPAQUE, 'other-9c2e');
    assert.notEqual(now.pid, before.pid);
    assert.equal((await cli(t, ['delete', '-f', file])).stdout, 'mcpserver.unmcp.dev "tell" deleted\n');
  });

  test('Ctrl-C at a question ends it, and leaves the terminal as it was', async (t) => {
    const unmcp = await Unmcp.up(t);
    const { file } = project(t, '.vscode/mcp.json', configuration);
    const other = join(temporaryDirectory(t), 'data');
    for (const args of [['apply', '--data-dir', unmcp.dataDir], ['up', '--data-dir', other, '--port', '0', '--grpc-port', '0']]) {
      const line = [unmcpBinary(), ...args, '-f', file, '--input', 'mode=ro'].join(' ');
      const command = new Command(t, [`${line}; echo "code $?"; stty -a`], { terminal: true, command: ['sh', '-c'] });
      await command.prints(/API Key: $/);
      command.type('half\x03');
      await command.prints(/code 1\r\n[^]*\bisig [^]* echo /);
      await command.end();
      assert.match(command.stdout, /input "api-key" was not answered/);
    }
    assert.deepEqual((await unmcp.get('/api/v1/servers')).json.items, []);
  });
});

test('delete -f asks for nothing', async (t) => {
  const unmcp = await Unmcp.up(t);
  const { file } = project(t, '.mcp.json', { mcpServers: { a: { command: 'x', args: ['${NOT_SET_ANYWHERE}'] },
    b: { url: '${URL_NOT_SET}/mcp' }, c: { command: '${COMMAND_NOT_SET}', envFile: 'gone.env' } } });
  const { code, stderr } = await cliOf(unmcp)(t, ['delete', '-f', file, '--ignore-not-found']);
  assert.equal(code, 0, stderr);
});
