// Starts the built binary as a user would, and looks at it from outside.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { descendants, residentBytes, withEnvironment } from './processes.mjs';
import { until } from './until.mjs';

export const root = resolve(fileURLToPath(import.meta.url), '../../../..');

function built(path, variable) {
  const binary = process.env[variable] ?? join(root, '.bazel/bin', path);
  if (!existsSync(binary)) throw new Error(`${binary} is missing: bazel build //${path.replace(/\/([^/]*)$/, ':$1')}`);
  return binary;
}
export const unmcpBinary = () => built('cli/unmcp', 'UNMCP_BINARY');
// Of the programs that `unmcp up` is in one.
export const programBinary = (part) => built(`${part}/unmcp-${part}`, `UNMCP_${part.toUpperCase()}_BINARY`);
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

// One process, and what it says.
export class Program {
  constructor(binary, args, spawnOptions = {}) {
    this.stdout = [];
    this.stderr = '';
    this.process = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], ...spawnOptions });
    this.pid = this.process.pid;
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.stderr = (this.stderr + text).slice(-65536)));
    createInterface({ input: this.process.stdout }).on('line', (line) => this.stdout.push(line));
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.exited = true;
      this.exitCode = code ?? signal;
      return this.exitCode;
    });
  }

  // What follows "ready" on its stdout.
  get ready() {
    return this.stdout.find((line) => line.startsWith('ready '))?.slice('ready '.length);
  }

  async untilReady() {
    await until('it prints ready', () => {
      if (this.exited) throw new Error(`it ended (${this.exitCode}): ${this.stderr}`);
      return this.ready;
    }, { within: kReadyWithin });
    return this;
  }

  // With UNMCP_E2E_LOGS=DIR what it says on stderr is kept there.
  log(testName) {
    const directory = process.env.UNMCP_E2E_LOGS;
    if (!directory) return;
    mkdirSync(directory, { recursive: true });
    const file = `${testName.replace(/\W+/g, '-').slice(0, 100)}-${this.pid}.log`;
    this.process.stderr.pipe(createWriteStream(join(directory, file)));
  }

  // SIGTERM; returns the exit code.
  async stop() {
    this.process.kill('SIGTERM');
    await until('exit after SIGTERM', () => this.exited, { within: kStopWithin });
    return this.exitCode;
  }

  // At once, as kill -9 is.
  async kill() {
    if (!this.exited) this.process.kill('SIGKILL');
    await this.ended;
  }
}

// A running unmcp, however many processes that are: `programs`, and `url`.
class Fleet {
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
    return this.programs.flatMap((program) => descendants(program.pid));
  }

  residentBytes(except = []) {
    return this.programs.reduce((sum, program) => sum + residentBytes(program.pid, except), 0);
  }

  // The end of every test. What a failing unmcp has left behind goes too.
  async kill() {
    await Promise.all(this.programs.map((program) => program.kill()));
    if (this.tag) await until('servers are gone', () => !this.serverProcesses().some((pid) => process.kill(pid, 'SIGKILL')));
  }
}

// `unmcp up`: one process.
export class Unmcp extends Fleet {
  // Starts unmcp on free ports with a data directory of its own, waits until it
  // is ready, and sees to it that the test leaves nothing behind. With
  // UNMCP_ARRANGEMENT=three it is the three programs instead; `args` are only
  // for `unmcp up`.
  //
  // options: servers {name: spec}; args; dataDir and tag (of an earlier one).
  static async up(t, { servers = {}, args = [], dataDir, tag = randomUUID() } = {}) {
    dataDir ??= join(temporaryDirectory(t), 'data');
    if (process.env.UNMCP_ARRANGEMENT === 'three' && args.length === 0) {
      return SeparatePrograms.start(t, { servers, dataDir, tag });
    }
    const files = Object.keys(servers).length ? ['-f', writeManifests(temporaryDirectory(t), servers, tag)] : [];
    const unmcp = new Unmcp(['--port', '0', '--grpc-port', '0', '--data-dir', dataDir, ...files, ...args]);
    Object.assign(unmcp, { dataDir, tag });
    t.after(() => unmcp.kill());
    unmcp.programs[0].log(t.name);
    await unmcp.programs[0].untilReady();
    return unmcp;
  }

  // Starts `unmcp up` with these arguments and waits for nothing.
  constructor(args, { binary = unmcpBinary(), ...spawnOptions } = {}) {
    super();
    this.programs = [new Program(binary, ['up', ...args], spawnOptions)];
  }

  get #program() { return this.programs[0]; }
  get process() { return this.#program.process; }
  get pid() { return this.#program.pid; }
  get stdout() { return this.#program.stdout; }
  get stderr() { return this.#program.stderr; }
  get ended() { return this.#program.ended; }
  get exited() { return this.#program.exited; }
  get exitCode() { return this.#program.exitCode; }
  get url() { return this.#program.ready; }
  // HOST:PORT of the gRPC API.
  get grpc() { return JSON.parse(readFileSync(join(this.dataDir, 'endpoints.json'), 'utf8')).grpc; }

  // SIGTERM; returns the exit code.
  stop() {
    return this.#program.stop();
  }
}

// unmcp-controller, unmcp-apiserver and unmcp-gateway, found by each other in
// one data directory.
export class SeparatePrograms extends Fleet {
  // As Unmcp.up. `order` is that of starting.
  static async start(t, { servers = {}, dataDir = join(temporaryDirectory(t), 'data'), tag = randomUUID(),
    order = ['controller', 'apiserver', 'gateway'] } = {}) {
    const unmcp = new SeparatePrograms();
    Object.assign(unmcp, { dataDir, tag, test: t });
    t.after(() => unmcp.kill());
    for (const part of order) unmcp.startPart(part);
    for (const part of order) await unmcp[part].untilReady();
    await unmcp.declare(servers);
    return unmcp;
  }

  get programs() { return [this.controller, this.apiserver, this.gateway].filter(Boolean); }
  get stderr() { return this.programs.map((program) => program.stderr).join(''); }
  get exited() { return this.programs.every((program) => program.exited); }
  get ended() { return Promise.all(this.programs.map((program) => program.ended)); }
  get process() {
    return { kill: (signal) => this.programs.forEach((program) => program.process.kill(signal)) };
  }

  // Starts one, on the port that it had.
  startPart(part) {
    const args = { controller: [], apiserver: ['--grpc-port', '0'], gateway: ['--port', this.port ?? '0'] }[part];
    this[part] = new Program(programBinary(part), ['--data-dir', this.dataDir, ...args]);
    this[part].log(`${this.test.name}-${part}`);
    return this[part];
  }

  get url() {
    this.address ??= this.gateway.ready;
    return this.address;
  }
  get grpc() { return this.apiserver.ready; }
  get port() {
    return this.address && new URL(this.address).port;
  }

  // As `apply` would: {name: spec}.
  async declare(servers) {
    for (const [name, spec] of Object.entries(servers)) {
      const tagged = { ...spec, env: [...(spec.env ?? []), { name: kTag, value: this.tag }] };
      const send = (method, path) => this.get(path, {
        method, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name, spec: tagged }),
      });
      let answer = await send('POST', '/api/v1/servers');
      if (answer.status === 409) answer = await send('PUT', `/api/v1/servers/${name}`);
      if (answer.status >= 300) throw new Error(`declaring ${name}: ${answer.status} ${answer.text}`);
    }
  }

  // SIGTERM to all; returns the exit code, of the first that has one.
  async stop() {
    const codes = await Promise.all(this.programs.map((program) => program.stop()));
    return codes.find((code) => code !== 0) ?? 0;
  }
}
