// The gRPC API, black-box: every method, health and reflection.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GrpcApi, grpc, methods } from './lib/grpc.mjs';
import { echo, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

const { status: code } = grpc;
const kServices = ['Manifest', 'Metrics', 'Pool', 'Server', 'Session'].map((name) => `unmcp.v1.${name}Service`);
const kHealth = 'grpc.health.v1.Health';

const called = new Set(); // by all tests: the last one compares

async function start(t, options) {
  const unmcp = await Unmcp.up(t, options);
  const api = new GrpcApi(t, unmcp.grpc);
  t.after(() => api.called.forEach((method) => called.add(method)));
  return {
    unmcp,
    api,
    call: (...args) => api.call(...args),
    stream: (...args) => api.stream(t, ...args),
  };
}

// That it fails with this code, and says so.
const fails = (promise, code, details) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.details, details);
    return true;
  });

const types = (call) => call.received.map(({ type, object }) => (object ? `${type} ${object.name}` : type));
const bookmark = (call) => until('BOOKMARK', () => types(call).includes('BOOKMARK'));

test('reflection lists the services, and describes each of them', async (t) => {
  const { api } = await start(t);
  const names = (await api.reflect({ listServices: '*' })).listServicesResponse.service.map(({ name }) => name);
  assert.deepEqual(names.sort(), [kHealth, 'grpc.reflection.v1alpha.ServerReflection', ...kServices], 'and nothing of what unmcp\'s parts say to each other');
  for (const symbol of [...names, 'unmcp.v1.MCPServerSpec', 'unmcp.v1.PoolService.WatchPools']) {
    const { fileDescriptorResponse, errorResponse } = await api.reflect({ fileContainingSymbol: symbol });
    assert.ok(fileDescriptorResponse?.fileDescriptorProto.length > 0, `${symbol}: ${errorResponse?.errorMessage}`);
  }
  const { errorResponse } = await api.reflect({ fileContainingSymbol: 'unmcp.v1.Nothing' });
  assert.equal(errorResponse.errorCode, code.NOT_FOUND);
});

test('health: the whole, each service, and a watch that sees the end', async (t) => {
  const { unmcp, api } = await start(t);
  for (const service of ['', ...kServices]) {
    assert.equal((await api.call(kHealth, 'Check', { service })).status, 'SERVING', service);
  }
  await fails(api.call(kHealth, 'Check', { service: 'nobody' }), code.NOT_FOUND, /./);
  const watch = api.stream(t, kHealth, 'Watch', { service: '' });
  await until('it says SERVING', () => watch.received.at(-1)?.status === 'SERVING');
  assert.equal(await unmcp.stop(), 0);
  await until('the watch has ended', () => watch.status);
  assert.deepEqual(watch.received.map(({ status }) => status), ['SERVING', 'NOT_SERVING']);
});

test('pools: created, read, listed, changed, watched, deleted with their servers', async (t) => {
  const { call, stream } = await start(t);
  const watch = stream('PoolService', 'WatchPools', {});
  await bookmark(watch);
  assert.deepEqual(types(watch), ['ADDED default', 'BOOKMARK']);

  const made = await call('PoolService', 'CreatePool', { pool: { name: 'tools', spec: { maxServersActive: 2 } } });
  assert.equal(made.spec.maxServersActive, 2);
  assert.equal(made.spec.maxServersLimit, 100, 'the default');
  await fails(call('PoolService', 'CreatePool', { pool: { name: 'tools' } }), code.ALREADY_EXISTS, /tools/);
  await fails(call('PoolService', 'CreatePool', { pool: { name: 'Tools!' } }), code.INVALID_ARGUMENT, /^name: /);
  await fails(call('PoolService', 'CreatePool', { pool: { name: 'x', spec: { maxServersLimit: -1 } } }), code.INVALID_ARGUMENT, /^spec\.maxServersLimit: /);
  assert.equal((await call('PoolService', 'GetPool', { name: 'tools' })).uid, made.uid);
  await fails(call('PoolService', 'GetPool', { name: 'nobody' }), code.NOT_FOUND, /nobody/);

  const first = await call('PoolService', 'ListPools', { pageSize: 1 });
  assert.deepEqual(first.items.map(({ name }) => name), ['default']);
  const second = await call('PoolService', 'ListPools', { pageSize: 1, pageToken: first.nextPageToken });
  assert.deepEqual([second.items[0].name, second.nextPageToken], ['tools', '']);
  await fails(call('PoolService', 'ListPools', { pageSize: -1 }), code.INVALID_ARGUMENT, /^pageSize: /);

  const changed = await call('PoolService', 'UpdatePool', { name: 'tools', pool: { spec: { maxServersActive: 3 } } });
  assert.deepEqual([changed.generation, changed.spec.maxServersActive], [2, 3]);
  await fails(call('PoolService', 'UpdatePool', { name: 'tools', pool: { resourceVersion: made.resourceVersion, spec: {} } }), code.ABORTED, /tools/);
  await fails(call('PoolService', 'UpdatePool', { name: 'nobody', pool: { spec: {} } }), code.NOT_FOUND, /nobody/);

  await call('ServerService', 'CreateServer', { server: { name: 'inside', pool: 'tools', spec: echo() } });
  await fails(call('PoolService', 'DeletePool', { name: 'tools', resourceVersion: made.resourceVersion }), code.ABORTED, /tools/);
  await call('PoolService', 'DeletePool', { name: 'tools' });
  await fails(call('PoolService', 'DeletePool', { name: 'tools' }), code.NOT_FOUND, /tools/);
  await until('its server has gone too', async () => (await call('ServerService', 'ListServers', {})).items.length === 0);
  await until('the watch has seen all of it', () => types(watch).at(-1) === 'DELETED tools');
  assert.equal(types(watch)[2], 'ADDED tools');
});

test('servers: created, read, listed, changed, watched, deleted', async (t) => {
  const { call, stream } = await start(t);
  const watch = stream('ServerService', 'WatchServers', {});
  const asleep = stream('ServerService', 'WatchServers', { phase: 'Asleep' });
  await Promise.all([bookmark(watch), bookmark(asleep)]);

  const secret = 'hunter2-hunter2';
  const spec = echo({ idleTimeout: 300, env: [{ name: 'API_TOKEN', value: secret }, { name: 'MODE', value: 'plain' }] });
  const made = await call('ServerService', 'CreateServer', { server: { name: 'alpha', spec } });
  assert.deepEqual([made.name, made.namespace, made.pool, made.generation], ['alpha', 'default', 'default', 1]);
  assert.ok(!JSON.stringify(made).includes(secret), 'what looks like a secret is not shown');
  assert.match(made.spec.env[0].valueFrom.secretKeyRef.name, /^alpha-/);
  assert.equal(made.spec.env[1].value, 'plain');
  await fails(call('ServerService', 'CreateServer', { server: { name: 'alpha', spec } }), code.ALREADY_EXISTS, /alpha/);
  await fails(call('ServerService', 'CreateServer', { server: { name: 'beta', spec: { transport: { type: 'smoke' } } } }), code.INVALID_ARGUMENT, /^spec\.transport\.type: /);
  await fails(call('ServerService', 'CreateServer', {}), code.INVALID_ARGUMENT, /./);
  for (const uid of [made.uid, 'alpha']) assert.equal((await call('ServerService', 'GetServer', { uid })).uid, made.uid);
  await fails(call('ServerService', 'GetServer', { uid: 'nobody' }), code.NOT_FOUND, /nobody/);

  await call('ServerService', 'CreateServer', { server: { name: 'beta', pool: 'elsewhere', spec: echo() } });
  const names = async (request) => (await call('ServerService', 'ListServers', request)).items.map(({ name }) => name);
  assert.deepEqual(await names({}), ['alpha', 'beta']);
  assert.deepEqual(await names({ pool: 'elsewhere' }), ['beta']);
  await until('alpha is known and asleep', async () => (await names({ phase: 'Asleep' })).includes('alpha'));
  const page = await call('ServerService', 'ListServers', { pageSize: 1 });
  assert.deepEqual(await names({ pageSize: 1, pageToken: page.nextPageToken }), ['beta']);
  await fails(call('ServerService', 'ListServers', { pageToken: '***' }), code.INVALID_ARGUMENT, /^pageToken: /);

  const changed = await call('ServerService', 'UpdateServer', { uid: 'alpha', server: { spec: { ...spec, args: ['--changed'] } } });
  assert.deepEqual([changed.generation, changed.spec.args], [2, ['--changed']]);
  await fails(call('ServerService', 'UpdateServer', { uid: 'alpha', server: { resourceVersion: made.resourceVersion, spec } }), code.ABORTED, /alpha/);
  await fails(call('ServerService', 'UpdateServer', { uid: 'nobody', server: { spec } }), code.NOT_FOUND, /nobody/);
  await fails(call('ServerService', 'DeleteServer', { uid: 'alpha', resourceVersion: made.resourceVersion }), code.ABORTED, /alpha/);
  await call('ServerService', 'DeleteServer', { uid: made.uid });
  await fails(call('ServerService', 'DeleteServer', { uid: 'alpha' }), code.NOT_FOUND, /alpha/);

  for (const call of [watch, asleep]) {
    await until('the watch has seen the end', () => types(call).includes('DELETED alpha'));
    assert.equal(types(call)[0], 'BOOKMARK');
    assert.equal(types(call).filter((type) => type.endsWith('alpha'))[0], 'ADDED alpha');
  }
  assert.ok(asleep.received.every(({ type, object }) => type !== 'ADDED' || object.status.phase === 'Asleep'));
});

test('a server is started, read from, and stopped', async (t) => {
  const { call, stream, unmcp } = await start(t, {
    servers: { talks: { command: ['/bin/sh', '-c', 'echo begin >&2; exec "$@"', 'sh', ...echo().command], idleTimeout: 300 } },
  });
  await unmcp.asleep('talks');
  await fails(call('ServerService', 'GetServerLogs', { uid: 'talks' }), code.FAILED_PRECONDITION, /start it/);
  await call('ServerService', 'StartServer', { uid: 'talks' });
  await unmcp.phase('talks', 'Ready');
  assert.equal((await call('ServerService', 'GetServerLogs', { uid: 'talks' })).text, 'begin\n');
  await fails(call('ServerService', 'GetServerLogs', { uid: 'talks', tailLines: -1 }), code.INVALID_ARGUMENT, /^tailLines: /);
  const follow = stream('ServerService', 'FollowServerLogs', { uid: 'talks' });
  await until('what there is', () => follow.received.map(({ text }) => text).join('') === 'begin\n');

  const { items } = await call('ServerService', 'ListServerEvents', { uid: 'talks' });
  assert.ok(items.some(({ reason, message }) => reason === 'Starting' && /by hand/.test(message)), JSON.stringify(items));
  const { spec } = await call('ServerService', 'StopServer', { uid: 'talks', suspend: true });
  assert.equal(spec.suspend, true);
  await until('the log ends with the process', () => follow.status);
  assert.equal(follow.status.code, code.OK, follow.status.details);
  await until('no process is left', () => unmcp.serverProcesses().length === 0);
  const again = await call('ServerService', 'StartServer', { uid: 'talks' });
  assert.ok(!again.spec.suspend);
  await unmcp.phase('talks', 'Ready');
  for (const method of ['StartServer', 'StopServer', 'GetServerLogs', 'ListServerEvents']) {
    await fails(call('ServerService', method, { uid: 'nobody' }), code.NOT_FOUND, /nobody/);
  }
  const none = stream('ServerService', 'FollowServerLogs', { uid: 'nobody' });
  await until('it is refused', () => none.status?.code === code.NOT_FOUND);
});

test('metrics of the whole, a pool, a server, and for Prometheus', async (t) => {
  const { call, unmcp } = await start(t, { servers: { alpha: echo(), beta: echo() } });
  await Promise.all(['alpha', 'beta'].map((name) => unmcp.asleep(name)));
  const all = await call('MetricsService', 'GetMetrics');
  assert.deepEqual([all.servers.total, all.servers.asleep, all.pools, all.controller.connected], [2, 2, 1, true]);
  const pool = await call('MetricsService', 'GetPoolMetrics', { name: 'default' });
  assert.deepEqual([pool.servers.total, pool.maxServersLimit, pool.activeServers], [2, 100, 0]);
  const server = await call('MetricsService', 'GetServerMetrics', { name: 'alpha' });
  assert.deepEqual([server.phase, server.starts, server.toolCount, server.isRunning], ['Asleep', 1, 9, false]);
  assert.equal((await call('MetricsService', 'GetServerMetrics', { name: server.uid })).name, 'alpha');
  await fails(call('MetricsService', 'GetPoolMetrics', { name: 'nobody' }), code.NOT_FOUND, /nobody/);
  await fails(call('MetricsService', 'GetServerMetrics', { name: 'nobody' }), code.NOT_FOUND, /nobody/);
  assert.match((await call('MetricsService', 'GetPrometheusMetrics')).text, /^unmcp_servers\{phase="Asleep"\} 2$/m);
});

// A manifest as google.protobuf.Struct, which proto-loader leaves to its user.
const struct = (object) => ({ fields: Object.fromEntries(Object.entries(object).map(([key, each]) => [key, value(each)])) });
function value(json) {
  if (json === null) return { nullValue: 0 };
  if (Array.isArray(json)) return { listValue: { values: json.map(value) } };
  return { string: { stringValue: json }, number: { numberValue: json }, boolean: { boolValue: json }, object: typeof json === 'object' && { structValue: struct(json) } }[typeof json];
}

test('manifests are applied: created, unchanged, configured', async (t) => {
  const { call } = await start(t);
  const apply = (kind, name, rest) => call('ManifestService', 'Apply', {
    manifest: struct({ apiVersion: kind.startsWith('MCP') ? 'unmcp.dev/v1' : 'v1', kind, metadata: { name }, ...rest }),
  });
  const change = async (...args) => (await apply(...args)).change;
  assert.equal(await change('Secret', 'keys', { stringData: { token: 'x' } }), 'created');
  assert.equal(await change('MCPPool', 'tools', { spec: { maxServersActive: 1 } }), 'created');
  const spec = echo({ pool: 'tools', env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } }] });
  assert.deepEqual(await apply('MCPServer', 'alpha', { spec }), { change: 'created', kind: 'MCPServer', name: 'alpha' });
  assert.equal(await change('MCPServer', 'alpha', { spec }), 'unchanged');
  assert.equal(await change('MCPServer', 'alpha', { spec: { ...spec, idleTimeout: 7 } }), 'configured');
  assert.equal((await call('ServerService', 'GetServer', { uid: 'alpha' })).spec.idleTimeout, 7);
  await fails(apply('MCPServer', 'alpha', { spec: { ...spec, idleTimeout: -2 } }), code.INVALID_ARGUMENT, /spec\.idleTimeout/);
  await fails(apply('MCPServer', 'alpha', { spec: { ...spec, nonsense: 1 } }), code.INVALID_ARGUMENT, /spec\.nonsense/);
  await fails(apply('Deployment', 'alpha', {}), code.INVALID_ARGUMENT, /Deployment/);
  await fails(call('ManifestService', 'Apply', {}), code.INVALID_ARGUMENT, /./);
});

// An MCP session over SessionService.Connect.
class Session {
  constructor(call) {
    this.call = call;
  }
  get opened() { return this.call.received.length > 0; }
  get status() { return this.call.status; }
  get messages() { return this.call.received.slice(1).map(({ payload }) => JSON.parse(payload)); }
  write(request) { this.call.write(request); }
  send(message) { this.write({ payload: Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)) }); }
  async open(server) {
    this.write({ open: { server } });
    await until('the session is open', () => this.opened);
    assert.equal(this.call.received[0].payload.length, 0, 'the first answer is empty');
    return this;
  }
  async request(id, method, params = {}) {
    this.send({ jsonrpc: '2.0', id, method, params });
    return until(`an answer to ${method}`, () => this.messages.find((message) => message.id === id && !message.method), { within: 15_000 });
  }
  async initialize() {
    const { result } = await this.request('init', 'initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'grpc', version: '1' } });
    this.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return result;
  }
  tool(id, name, args = {}) { return this.request(id, 'tools/call', { name, arguments: args }); }
  ended(code) { return until('the session has ended', () => this.status?.code === code || (this.status && assert.fail(JSON.stringify(this.status)))); }
}

test('a session over gRPC: woken, kept apart from another, ended by the client', async (t) => {
  const { stream, unmcp } = await start(t, { servers: { echo: echo({ idleTimeout: 300 }) } });
  await unmcp.asleep('echo');
  const connect = () => new Session(stream('SessionService', 'Connect'));
  const [one, two] = await Promise.all([connect().open('echo'), connect().open((await unmcp.server('echo')).uid)]);
  assert.equal((await one.initialize()).serverInfo.name, 'echo');
  await two.initialize();
  const answers = await Promise.all([one.tool(1, 'echo', { text: 'one' }), two.tool(1, 'echo', { text: 'two' })]);
  assert.deepEqual(answers.map(({ result }) => result.content[0].text), ['one', 'two']);
  assert.equal((await unmcp.phase('echo', 'Ready', { and: (status) => status.currentConnections === 2 })).status.isRunning, true);
  one.call.end();
  await one.ended(code.OK);
  await unmcp.phase('echo', 'Ready', { and: (status) => status.currentConnections === 1 });
  assert.equal((await two.tool(2, 'echo', { text: 'still' })).result.content[0].text, 'still');
});

test('a session over gRPC ends with the reason', async (t) => {
  const { stream, unmcp } = await start(t, { servers: { echo: echo(), broken: { command: ['/nowhere/at/all'] } } });
  const connect = () => new Session(stream('SessionService', 'Connect'));
  const nobody = connect();
  nobody.write({ open: { server: 'nobody' } });
  await nobody.ended(code.NOT_FOUND);
  const early = connect();
  early.send({ jsonrpc: '2.0', id: 1, method: 'ping' });
  await early.ended(code.INVALID_ARGUMENT);
  const twice = await connect().open('echo');
  twice.write({ open: { server: 'echo' } });
  await twice.ended(code.INVALID_ARGUMENT);
  const garbage = await connect().open('echo');
  garbage.send('{"jsonrpc":');
  await garbage.ended(code.INVALID_ARGUMENT);

  await unmcp.phase('broken', 'Degraded');
  const broken = connect();
  broken.write({ open: { server: 'broken' } });
  broken.send({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} });
  await broken.ended(code.UNAVAILABLE);
  assert.match(broken.status.details, /nowhere/);

  const crashed = await connect().open('echo');
  await crashed.initialize();
  crashed.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'crash', arguments: {} } });
  await crashed.ended(code.ABORTED);
});

test('every method of the API has been called here', () => {
  assert.deepEqual(methods.filter((method) => !called.has(method)), []);
});
