// The bridges under measurement, each with an echo server behind it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { until } from '../e2e/lib/until.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../../..');
// Where the links lead now: another build may turn them elsewhere meanwhile.
const bin = realpathSync(process.env.UNMCP_BIN ?? join(root, '.bazel/bin'));
export const load = join(bin, 'tests/bench/load');
export const echoServer = join(bin, 'tests/fixtures/echo_server');

const kStartsWithin = 30_000; // ms

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// A running bridge: {pid, url, stop()}.
function started(process, cleanUp = () => {}) {
  return {
    pid: process.pid,
    async stop() {
      process.kill('SIGTERM');
      const timer = setTimeout(() => process.kill('SIGKILL'), 10_000);
      if (process.exitCode === null && process.signalCode === null) await once(process, 'exit');
      clearTimeout(timer);
      cleanUp();
    },
  };
}

// A program of node_modules that takes --port, and answers there when it is up.
function peer(name, args) {
  return {
    name,
    async start() {
      const port = await freePort();
      const program = join(root, 'tests/bench/node_modules/.bin', name);
      const child = spawn(process.execPath, [program, '--port', String(port), ...args], { stdio: 'ignore' });
      const bridge = started(child);
      await until(`${name} answers`, () => fetch(`http://127.0.0.1:${port}/`).then((r) => r.status > 0), { within: kStartsWithin });
      return { ...bridge, url: `http://127.0.0.1:${port}/sse` };
    },
  };
}

export const bridges = [
  {
    name: 'unmcp',
    // Ready, and the server known and asleep, as it is before the first client comes.
    async start({ idleTimeout = -1 } = {}) {
      const directory = mkdtempSync(join(tmpdir(), 'unmcp-bench-'));
      const manifest = { apiVersion: 'unmcp.dev/v1', kind: 'MCPServer', metadata: { name: 'echo' }, spec: { command: [echoServer], idleTimeout } };
      const file = join(directory, 'echo.yaml');
      writeFileSync(file, JSON.stringify(manifest));
      const child = spawn(join(bin, 'cli/unmcp'),
        ['up', '--port', '0', '--grpc-port', '0', '--data-dir', join(directory, 'data'), '-f', file],
        { stdio: ['ignore', 'pipe', 'ignore'] });
      const bridge = started(child, () => rmSync(directory, { recursive: true, force: true }));
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
      const [, url] = await until('unmcp is ready', () => /^ready (\S+)$/m.exec(said), { within: kStartsWithin });
      const server = `${url}/api/v1/servers/echo`;
      const phase = async () => (await (await fetch(server)).json()).status;
      await until('echo is known', async () => (await phase())?.toolCount > 0, { within: kStartsWithin });
      return {
        ...bridge,
        url: `${server}/sse`,
        asleep: () => until('echo is asleep', async () => (await phase()).phase === 'Asleep', { within: kStartsWithin }),
      };
    },
  },
  peer('supergateway', ['--stdio', echoServer, '--logLevel', 'none']),
  peer('mcp-proxy', ['--host', '127.0.0.1', '--server', 'sse', '--', echoServer]),
];
