// Large messages, many sessions, and clients that do not read.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import { RawSession, text } from './lib/clients.mjs';
import { echo, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

const kMegabyte = 1 << 20;

async function stillWorks(t, unmcp, ...sessions) {
  sessions.push(await RawSession.connect(t, unmcp.sse('echo')));
  for (const session of sessions) {
    const said = `still ${Math.random()}`;
    assert.equal(text((await session.tool(said, 'echo', { text: said })).result), said);
  }
}

test('a message of 10 MB passes, unchanged', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const sent = 'ä"\\x'.repeat(2 * kMegabyte).slice(0, 7 * kMegabyte); // 10 MB and more as JSON
  const answer = await session.tool(1, 'echo', { text: sent });
  assert.ok(text(answer.result) === sent, 'what came back is what was sent');
  await stillWorks(t, unmcp, session);
});

test('a message over the limit is refused alone', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: { text: 'x'.repeat(64 * kMegabyte) } } });
  // The connection may be closed before all of it is sent, as RFC 9110 allows.
  const posted = await session.post(body).catch((error) => ({ status: error.code }));
  assert.ok([413, 'ECONNRESET', 'EPIPE'].includes(posted.status), `${posted.status}`);
  await stillWorks(t, unmcp, session);
});

test('an answer of 20 MB passes, or fails alone', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const other = await RawSession.connect(t, unmcp.sse('echo'));
  const pid = text((await session.tool('pid', 'pid')).result);
  const bytes = 20_000_000;
  const [answer] = await Promise.all([session.tool(1, 'big', { bytes }, { timeout: 30_000 }), other.tool(1, 'echo', { text: 'beside' })]);
  if (answer.error) {
    assert.match(answer.error.message, /large|limit|bytes|MB/i, 'the error says that it was too large');
  } else {
    assert.equal(text(answer.result).length, bytes);
  }
  await stillWorks(t, unmcp, session, other);
  assert.equal(text((await other.tool('pid', 'pid')).result), pid, 'the server was not restarted');
});

test('a client that never reads costs its bound and no more, and holds up nobody', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const other = await RawSession.connect(t, unmcp.sse('echo'));

  // A stream that is read as far as its endpoint, and then never again.
  const url = unmcp.sse('echo');
  const socket = net.connect(Number(url.port), url.hostname);
  t.after(() => socket.destroy());
  socket.on('error', () => {}); // it is dropped: that is the point
  socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAccept: text/event-stream\r\n\r\n`);
  let head = '';
  while (!/sessionId=\w+/.test(head)) head += (await once(socket, 'data'))[0];
  socket.pause();
  const deaf = new RawSession();
  deaf.endpoint = new URL(/data: ?(\S+)/.exec(head)[1], url);
  await deaf.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'deaf', version: '1' } } });
  await deaf.post({ jsonrpc: '2.0', method: 'notifications/initialized' });

  const servers = unmcp.serverProcesses();
  const before = unmcp.residentBytes(servers);
  const kAnswers = 200, kEach = kMegabyte; // 200 MB: far over any bound
  let refused = 0, most = 0;
  for (let id = 1; id <= kAnswers; id++) {
    const { status } = await deaf.post({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'big', arguments: { bytes: kEach } } });
    if (status !== 202) refused++;
    most = Math.max(most, unmcp.residentBytes(servers) - before);
  }
  assert.equal(text((await other.tool(1, 'echo', { text: 'not held up' })).result), 'not held up');
  most = Math.max(most, unmcp.residentBytes(servers) - before);
  assert.ok(refused > 0, 'the session was dropped, so that its messages are refused');
  assert.ok(most < 64 * kMegabyte, `resident memory grew by ${Math.round(most / kMegabyte)} MB`);
  await until('the deaf session is gone', async () => (await unmcp.server('echo')).status.currentConnections === 1);
  await stillWorks(t, unmcp, other);
});

test('1,000 open streams with a call each: all are answered', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const kSessions = 1000;
  const sessions = await Promise.all(Array.from({ length: kSessions }, () => RawSession.connect(t, unmcp.sse('echo'))));
  await unmcp.phase('echo', 'Ready', { and: (status) => status.currentConnections === kSessions });
  const answers = await Promise.all(sessions.map((session, index) => session.tool(1, 'echo', { text: `session ${index}` })));
  assert.deepEqual(answers.map(({ result }) => text(result)), sessions.map((_, index) => `session ${index}`));
  assert.equal(sessions.filter(({ ended }) => ended).length, 0);
  for (const session of sessions) session.close();
  await until('all are gone again', async () => ((await unmcp.server('echo')).status.currentConnections ?? 0) === 0);
});
