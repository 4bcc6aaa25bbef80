// The HTTP+SSE transport to the letter (MCP 2024-11-05), and what a careless
// or hostile client gets.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { RawSession, request, text } from './lib/clients.mjs';
import { echo, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

// One unmcp for all: no test here harms it, which each proves for those before.
let unmcp;
const cleanUps = [];
before(async () => {
  unmcp = await Unmcp.up({ name: 'http', after: (f) => cleanUps.unshift(f) }, { servers: { echo: echo({ idleTimeout: -1 }) } });
});
after(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
});

const json = { 'content-type': 'application/json' };
const ping = (id) => JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' });

async function stillWorks(session) {
  const said = `after ${Math.random()}`;
  assert.equal(text((await session.tool(said, 'echo', { text: said })).result), said);
  assert.equal(session.ended, undefined);
}

test('the stream: headers, and the endpoint as its first event', async (t) => {
  const session = await RawSession.open(t, unmcp.sse('echo'));
  const { statusCode, headers } = session.response;
  assert.equal(statusCode, 200);
  assert.match(headers['content-type'], /^text\/event-stream/);
  assert.match(headers['cache-control'], /no-cache/);
  assert.match(headers['cache-control'], /no-transform/);
  assert.equal(headers['x-accel-buffering'], 'no');
  assert.equal(session.endpoint.pathname, '/api/v1/servers/echo/message');
  const id = session.endpoint.searchParams.get('sessionId');
  assert.ok(id.length >= 22, `a session id of 128 random bits: ${id}`);
  const other = await RawSession.open(t, unmcp.sse('echo'));
  assert.notEqual(other.endpoint.searchParams.get('sessionId'), id);
});

test('a POST is 202 at once, with the answer on the stream only', async (t) => {
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const posted = await session.post(ping(9));
  assert.equal(posted.status, 202);
  assert.doesNotMatch(posted.text, /jsonrpc/);
  await until('the answer', () => session.messages.some(({ id, result }) => id === 9 && result));
});

test('the server is reached by its uid too', async (t) => {
  const { uid } = await unmcp.server('echo');
  await stillWorks(await RawSession.connect(t, unmcp.sse(uid)));
});

test('malformed JSON is 400, and the session lives', async (t) => {
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  for (const body of ['{', '', 'null', '{"jsonrpc":"2.0","id":1,"method":"ping"', '{"a":1}{"b":2}']) {
    const posted = await session.post(body);
    assert.equal(posted.status, 400, JSON.stringify(body));
    assert.match(posted.headers['content-type'], /^application\/json/);
    assert.ok(posted.json, `an error is JSON: ${posted.text}`);
  }
  await stillWorks(session);
});

test('a wrong content type is 415, and the session lives', async (t) => {
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
    assert.equal((await session.post(ping(1), { 'content-type': type })).status, 415, type);
  }
  assert.equal((await session.post(ping(1), {})).status, 415);
  assert.equal((await session.post(ping(2), { 'content-type': 'Application/JSON; charset=UTF-8' })).status, 202);
  await stillWorks(session);
});

test('a message that is too large is 413, and the session lives', async (t) => {
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  // The length alone decides: the body is never sent.
  const refused = await request(session.endpoint, {
    method: 'POST',
    headers: { ...json, 'content-length': String(1 << 30), expect: '100-continue' },
    body: '',
  });
  assert.equal(refused.status, 413);
  assert.ok(refused.json);
  await stillWorks(session);
});

test('a message in many pieces is one message', async (t) => {
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const message = JSON.stringify({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'echo', arguments: { text: 'in pieces' } } });
  assert.equal((await session.post([...message].map((c) => c))).status, 202);
  await until('the answer', () => session.messages.some((answer) => answer.id === 3 && text(answer.result) === 'in pieces'));
});

test('newlines inside a message do not cut it in two', async (t) => {
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const message = { jsonrpc: '2.0', id: 4, method: 'tools/call', params: { name: 'echo', arguments: { text: 'pretty' } } };
  assert.equal((await session.post(JSON.stringify(message, null, 2).replaceAll('\n', '\r\n'))).status, 202);
  await until('the answer', () => session.messages.some((answer) => answer.id === 4 && text(answer.result) === 'pretty'));
});

test('an unknown session is 404, a missing one 400, an unknown server 404', async (t) => {
  const message = `${unmcp.url}/api/v1/servers/echo/message`;
  const post = (url) => request(url, { method: 'POST', headers: json, body: ping(1) });
  assert.equal((await post(`${message}?sessionId=0123456789abcdef0123456789abcdef`)).status, 404);
  assert.equal((await post(message)).status, 400);
  assert.equal((await post(`${message}?sessionId=`)).status, 400);
  assert.equal((await post(`${unmcp.url}/api/v1/servers/nobody/message?sessionId=0123`)).status, 404);
  const unknown = await request(`${unmcp.url}/api/v1/servers/nobody/sse`);
  assert.equal(unknown.status, 404);
  assert.equal(unknown.json.error.code, 404);
  assert.equal(unknown.json.error.status, 'NOT_FOUND');
  assert.match(unknown.json.error.message, /nobody/);

  const session = await RawSession.connect(t, unmcp.sse('echo'));
  session.close();
  await until('a session whose stream is gone is unknown', async () => (await session.post(ping(1))).status === 404);
});

test('a session belongs to its server', async (t) => {
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const elsewhere = new URL(session.endpoint);
  elsewhere.pathname = '/api/v1/servers/nobody/message';
  assert.equal((await request(elsewhere, { method: 'POST', headers: json, body: ping(1) })).status, 404);
  await stillWorks(session);
});

test('other methods are 405 with Allow, other paths 404', async () => {
  const allow = async (method, path) => {
    const { status, headers } = await request(unmcp.url + path, { method });
    assert.equal(status, 405, `${method} ${path}`);
    return headers.allow;
  };
  assert.match(await allow('POST', '/api/v1/servers/echo/sse'), /GET/);
  assert.match(await allow('DELETE', '/api/v1/servers/echo/sse'), /GET/);
  assert.match(await allow('GET', '/api/v1/servers/echo/message'), /POST/);
  assert.match(await allow('POST', '/health'), /GET/);
  assert.equal((await request(`${unmcp.url}/nothing/here`)).status, 404);
});

test('a foreign Host or Origin is 403', async (t) => {
  const { host, port } = new URL(unmcp.url);
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  for (const [headers, status] of [
    [{ host: 'evil.example' }, 403],
    [{ host: `evil.example:${port}` }, 403],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: `http://evil.example:${port}` }, 403],
    [{ origin: 'null' }, 403],
    [{ host: `localhost:${port}` }, 200],
    [{ origin: `http://${host}` }, 200],
    [{ origin: `http://localhost:${port}` }, 200],
  ]) {
    const what = JSON.stringify(headers);
    assert.equal((await request(`${unmcp.url}/api/v1/servers`, { headers })).status, status, what);
    const posted = await request(session.endpoint, { method: 'POST', headers: { ...json, ...headers }, body: ping(1) });
    assert.equal(posted.status, status === 200 ? 202 : 403, what);
    const stream = await RawSession.open(t, unmcp.sse('echo'), { headers });
    assert.equal(stream.response.statusCode, status, what);
  }
  await stillWorks(session);
});

test('a GET with MCP-Protocol-Version is a reconnect: it works without initialize', async (t) => {
  const session = await RawSession.open(t, unmcp.sse('echo'), { headers: { 'mcp-protocol-version': '2025-06-18' } });
  const { result } = await session.call(1, 'tools/list', {});
  assert.ok(result.tools.length > 0);
});

test('a client\'s stream is closed by a client that goes, and counted so', async (t) => {
  const open = async () => (await unmcp.server('echo')).status.currentConnections ?? 0;
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  await until('it is counted', async () => (await open()) >= 1);
  const others = (await open()) - 1;
  session.close();
  await until('it is not counted any more', async () => (await open()) <= others);
});

test('a quiet stream gets a comment at least every 15 s', async (t) => {
  const session = await RawSession.open(t, unmcp.sse('echo'));
  await until('a comment', () => session.comments > 0, { within: 16_000 });
});
