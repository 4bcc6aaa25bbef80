// The REST API and what monitoring reads.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { RawSession } from './lib/clients.mjs';
import { echo, temporaryDirectory, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

const kTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

test('the list and each server have the documented shape', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { beta: echo({ idleTimeout: 300 }), alpha: echo() } });
  await Promise.all(['alpha', 'beta'].map((name) => unmcp.asleep(name).catch(() => unmcp.phase(name, 'Ready'))));
  const session = await RawSession.connect(t, unmcp.sse('beta'));
  await session.tool(1, 'echo', { text: 'x' });
  await unmcp.phase('beta', 'Ready', { and: ({ totalRequests }) => totalRequests >= 3 });

  const { status, headers, json } = await unmcp.get('/api/v1/servers');
  assert.equal(status, 200);
  assert.match(headers.get('content-type'), /^application\/json/);
  assert.deepEqual(json.items.map(({ name }) => name), ['alpha', 'beta'], 'by name');
  const beta = json.items[1];
  assert.equal(beta.namespace, 'default');
  assert.match(beta.uid, /^[0-9a-f-]{36}$/);
  assert.match(beta.createdAt, kTime);
  assert.equal(beta.pool, 'default');
  assert.deepEqual(beta.spec.command, echo().command);
  assert.equal(beta.spec.idleTimeout, 300);
  assert.equal(beta.spec.transport?.type ?? 'stdio', 'stdio');
  const s = beta.status;
  assert.equal(s.phase, 'Ready');
  assert.equal(s.isRunning, true);
  assert.equal(s.isIdle, false, 'a session is open');
  assert.equal(s.toolCount, 9);
  assert.deepEqual([s.serverInfo.name, s.serverInfo.version], ['echo', '1.0.0']);
  for (const [field, least] of [['totalRequests', 3], ['currentConnections', 1], ['incarnation', 1], ['observedGeneration', 1]]) {
    assert.equal(typeof s[field], 'number', `${field} is a number`);
    assert.ok(s[field] >= least, field);
  }
  assert.equal(s.currentConnections, 1);
  for (const field of ['startedAt', 'lastRequestAt']) assert.match(s[field], kTime, field);
  assert.ok(Array.isArray(s.conditions));
  const ready = s.conditions.find(({ type }) => type === 'Ready');
  assert.equal(ready.status, 'True');
  assert.match(ready.lastTransitionTime, kTime);

  for (const id of [beta.uid, 'beta']) {
    const one = await unmcp.get(`/api/v1/servers/${id}`);
    assert.equal(one.status, 200);
    assert.equal(one.json.uid, beta.uid);
    assert.deepEqual(Object.keys(one.json).sort(), Object.keys(beta).sort());
  }
});

test('an empty list is an empty list, and an unknown server an error', async (t) => {
  const unmcp = await Unmcp.up(t);
  assert.deepEqual((await unmcp.get('/api/v1/servers')).json, { items: [] });
  const { status, json } = await unmcp.get('/api/v1/servers/nobody');
  assert.equal(status, 404);
  assert.equal(json.error.code, 404);
  assert.equal(json.error.status, 'NOT_FOUND');
  assert.match(json.error.message, /nobody/);
});

test('who writes at the same time as others is served, and the last one stands', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  await unmcp.asleep('echo');
  const { spec } = await unmcp.server('echo');
  const put = (idleTimeout) => unmcp.get('/api/v1/servers/echo', {
    method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ spec: { ...spec, idleTimeout } }),
  });
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => put(1000 + i)));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200], answers.find(({ status }) => status !== 200)?.text);
  const last = answers.map(({ json }) => json).sort((a, b) => a.generation - b.generation).at(-1);
  assert.equal((await unmcp.server('echo')).spec.idleTimeout, last.spec.idleTimeout);
});

test('a server is idle when nobody is there, running or not', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo({ idleTimeout: -1 }) } });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  await until('busy', async () => (await unmcp.server('echo')).status.isIdle === false);
  session.close();
  const { status } = await unmcp.phase('echo', 'Ready', { and: ({ isIdle }) => isIdle });
  assert.equal(status.isRunning, true);
});

test('health, readiness and metrics', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  assert.equal((await unmcp.get('/health')).status, 200);
  assert.equal((await unmcp.get('/ready')).status, 200);
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  await session.tool(1, 'echo', { text: 'x' });
  const { status, headers, text } = await unmcp.get('/metrics');
  assert.equal(status, 200);
  assert.match(headers.get('content-type'), /^text\/plain/);
  assert.match(text, /^# TYPE unmcp_\w+ (counter|gauge|histogram)$/m);
  for (const line of text.split('\n')) {
    assert.match(line, /^$|^# (HELP|TYPE) |^[a-zA-Z_:][\w:]*(\{.*\})? \S+$/);
  }
  const { uid } = await unmcp.server('echo');
  assert.ok(!text.includes(uid) && !text.includes(session.endpoint.searchParams.get('sessionId')), 'no unbounded label');
});

test('secrets in the arguments reach the process, and nobody else', async (t) => {
  const unmcp = await Unmcp.up(t);
  const file = join(temporaryDirectory(t), 'arguments');
  const given = ['--api-key=5ecret-1', '--token', '5ecret$$-2', 'https://x.example/mcp?key=5ecret-3&a=b', 'plain'];
  const spec = {
    command: ['sh', '-c', `printf '%s\\n' "$@" > ${file}; echo started >&2; exec ${echo().command[0]}`, 'sh'],
    args: given,
    idleTimeout: -1,
  };
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'keys', spec }) };
  const created = await unmcp.get('/api/v1/servers', init);
  assert.equal(created.status, 201, created.text);
  assert.equal(created.json.spec.args[0], '--api-key=$(UNMCP_ARG_0)');
  assert.equal(created.json.spec.args[4], 'plain');

  const session = await RawSession.connect(t, unmcp.sse('keys'));
  await session.tool(1, 'echo', { text: 'x' });
  // "$$" is Kubernetes' way to write "$".
  const got = given.map((argument) => argument.replace('$$', () => '$'));
  assert.deepEqual(readFileSync(file, 'utf8').trimEnd().split('\n'), got);

  // Written back as it was read, it is what it was.
  const read = await unmcp.get('/api/v1/servers/keys');
  const put = { ...init, method: 'PUT', body: JSON.stringify({ spec: read.json.spec }) };
  const written = await unmcp.get('/api/v1/servers/keys', put);
  assert.equal(written.status, 200, written.text);
  assert.ok(read.json.generation > 0);
  assert.equal(written.json.generation, read.json.generation);

  const paths = ['', '/keys', '/keys/logs'].map((path) => `/api/v1/servers${path}`);
  for (const { text } of [created, written, ...(await Promise.all(paths.map((path) => unmcp.get(path))))]) {
    assert.ok(!text.includes('5ecret'), text);
  }
  assert.ok(!unmcp.stderr.includes('5ecret'), 'the log has a secret');
});
