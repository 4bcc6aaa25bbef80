// A server's spec is edited while clients use it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RawSession, text } from './lib/clients.mjs';
import { echo, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

async function edit(unmcp, name, change) {
  const { uid, spec } = await unmcp.server(name);
  const answer = await unmcp.get(`/api/v1/servers/${uid}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ spec: { ...spec, ...change } }),
  });
  assert.equal(answer.status, 200, answer.text);
}

test('an edit waits for a call, then the server is another: idle sessions end, and the next call is the new one\'s', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo({ idleTimeout: 300 }) } });
  const busy = await RawSession.connect(t, unmcp.sse('echo'));
  const idle = await RawSession.connect(t, unmcp.sse('echo'));
  const before = text((await busy.tool(1, 'pid')).result);
  const slow = busy.tool(2, 'slow', { ms: 1000 });
  await unmcp.phase('echo', 'Ready', { and: (status) => status.totalRequests >= 6 });
  await edit(unmcp, 'echo', { args: ['--edited'] });
  assert.ok((await slow).result, 'the call in flight is answered');
  await until('the sessions that knew the old one have ended', () => idle.ended && busy.ended, { within: 3000 });
  assert.deepEqual([idle.ended, busy.ended], ['end', 'end']);
  const after = await RawSession.connect(t, unmcp.sse('echo'));
  assert.notEqual(text((await after.tool(1, 'pid')).result), before);
  const { status } = await unmcp.server('echo');
  assert.equal(status.observedGeneration, 2);
});

test('an edit that does not reach the process leaves it alone, awake or asleep', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo({ idleTimeout: 300 }) } });
  const { status: asleep } = await unmcp.asleep('echo');
  await edit(unmcp, 'echo', { idleTimeout: 200 });
  await unmcp.phase('echo', 'Asleep', { and: (status) => status.observedGeneration === 2 });
  const session = await RawSession.connect(t, unmcp.sse('echo'));
  const pid = text((await session.tool(1, 'pid')).result);
  await edit(unmcp, 'echo', { idleTimeout: 100 });
  const { status } = await unmcp.phase('echo', 'Ready', { and: (status) => status.observedGeneration === 3 });
  assert.equal(text((await session.tool(2, 'pid')).result), pid);
  assert.equal(status.incarnation, asleep.incarnation + 1);
});
