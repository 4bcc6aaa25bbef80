// Starts the built binary as a user would, and looks at it from outside.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, createWriteStream, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { descendants, withEnvironment } from './processes.mjs';
import { until } from './until.mjs';

export const root = resolve(fileURLToPath(import.meta.url), '../../../..');

function built(path, variable) {
  const binary = process.env[variable] ?? join(root, '.bazel/bin', path);
  if (!existsSync(binary)) throw new Error(`${binary} is missing: bazel build //${path.replace(/\/([^/]*)$/, ':$1')}`);
  return binary;
}
export const unmcpBinary = () => built('cli/unmcp', 'UNMCP_BINARY');
export const echoServer = () => built('tests/fixtures/echo_server', 'UNMCP_ECHO_SERVER');

export const everythingPath = join(root, 'tests/e2e/node_modules/@modelcontextprotocol/server-everything/dist/index.js');

// Specs of servers for manifests.
export const echo = (spec = {}) => ({ command: [echoServer()], ...spec });
export const everything = (spec = {}) => ({ command: [process.execPath, everythingPath, 'stdio'], ...spec });

const kTag = 'UNMCP_E2E_TAG';
const kReadyWithin = 10_000; // ms; it starts in well under one
const kStopWithin = 10_000; // what `unmcp up` promises

export function temporaryDirectory(t) {
  const directory = mkdtempSync(join(tmpdir(), 'unmcp-e2e-'));
  chmodSync(directory, 0o755); // one test runs unmcp as another user
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

// A file of manifests (JSON is YAML) for {name: spec}.
export function writeManifests(directory, servers, tag) {
  const documents = Object.entries(servers).map(([name, spec]) => ({
    apiVersion: 'unmcp.dev/v1',
    kind: 'MCPServer',
    metadata: { name },
    spec: { ...spec, env: [...(spec.env ?? []), { name: kTag, value: tag }] },
  }));
  const file = join(directory, `servers-${randomUUID()}.yaml`);
  writeFileSync(file, documents.map((document) => JSON.stringify(document)).join('\n---\n'));
  return file;
}

export class Unmcp {
  // Starts `unmcp up` on free ports with a data directory of its own, waits
  // until it is ready, and sees to it that the test leaves nothing behind.
  //
  // options: servers {name: spec}; args; dataDir and tag (of an earlier one).
  static async up(t, { servers = {}, args = [], dataDir, tag = randomUUID() } = {}) {
    dataDir ??= join(temporaryDirectory(t), 'data');
    const files = Object.keys(servers).length ? ['-f', writeManifests(temporaryDirectory(t), servers, tag)] : [];
    const unmcp = new Unmcp(['--port', '0', '--grpc-port', '0', '--data-dir', dataDir, ...files, ...args]);
    Object.assign(unmcp, { dataDir, tag });
    t.after(() => unmcp.kill());
    unmcp.log(t.name);
    await until('`unmcp up` prints ready', () => {
      if (unmcp.exited) throw new Error(`it ended (${unmcp.exitCode}): ${unmcp.stderr}`);
      return unmcp.url;
    }, { within: kReadyWithin });
    return unmcp;
  }

  // Starts `unmcp up` with these arguments and waits for nothing.
  constructor(args, { binary = unmcpBinary(), ...spawnOptions } = {}) {
    this.stdout = [];
    this.stderr = '';
    this.process = spawn(binary, ['up', ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...spawnOptions });
    this.pid = this.process.pid;
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.stderr = (this.stderr + text).slice(-65536)));
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.stdout.push(line);
      const ready = /^ready (http:\/\/\S+)$/.exec(line);
      if (ready) this.url = ready[1];
    });
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.exited = true;
      this.exitCode = code ?? signal;
      return this.exitCode;
    });
  }

  // With UNMCP_E2E_LOGS=DIR what unmcp says on stderr is kept there.
  log(testName) {
    const directory = process.env.UNMCP_E2E_LOGS;
    if (!directory) return;
    mkdirSync(directory, { recursive: true });
    const file = `${testName.replace(/\W+/g, '-').slice(0, 100)}-${this.pid}.log`;
    this.process.stderr.pipe(createWriteStream(join(directory, file)));
  }

  sse(name) {
    return new URL(`${this.url}/api/v1/servers/${name}/sse`);
  }

  async get(path, init) {
    const response = await fetch(this.url + path, init);
    const text = await response.text();
    const json = response.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, json };
  }

  async server(name) {
    const { status, json } = await this.get(`/api/v1/servers/${name}`);
    if (status !== 200) throw new Error(`GET server ${name}: ${status}`);
    return json;
  }

  // Waits until a server is in that phase (and, if asked, more holds), and returns it.
  phase(name, phase, { within = 10_000, and = () => true } = {}) {
    let seen;
    return until(`${name} is ${phase}`, async () => {
      seen = await this.server(name);
      if (seen.status?.phase !== phase || !and(seen.status)) throw new Error(JSON.stringify(seen.status));
      return seen;
    }, { within });
  }

  // Known (it was started once to see what it offers) and back asleep: no process.
  async asleep(name, options) {
    const server = await this.phase(name, 'Asleep', { and: (status) => status.toolCount > 0, ...options });
    await until(`the process of ${name} is gone`, () => this.serverProcesses().length === 0);
    return server;
  }

  // Processes of all servers, whatever has become of them.
  serverProcesses() {
    return withEnvironment(kTag, this.tag);
  }

  descendants() {
    return descendants(this.pid);
  }

  // SIGTERM; returns the exit code.
  async stop() {
    this.process.kill('SIGTERM');
    await until('exit after SIGTERM', () => this.exited, { within: kStopWithin });
    return this.exitCode;
  }

  // The end of every test. What a failing unmcp has left behind goes too.
  async kill() {
    if (!this.exited) this.process.kill('SIGKILL');
    await this.ended;
    if (this.tag) await until('servers are gone', () => !this.serverProcesses().some((pid) => process.kill(pid, 'SIGKILL')));
  }
}
