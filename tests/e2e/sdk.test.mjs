// What a user sees with an unmodified official client: servers wake and sleep,
// and clients on one server never meet.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RawSession, sdks, text } from './lib/clients.mjs';
import { alive } from './lib/processes.mjs';
import { echo, everything, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

for (const sdk of sdks) {
  test(`${sdk.name}: connecting starts server-everything, idleness puts it to sleep, the next connect wakes it`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { everything: everything({ idleTimeout: 1 }) } });
    const before = await unmcp.asleep('everything', { within: 20_000 });
    assert.equal(before.status.isRunning, false);
    assert.equal(before.status.currentConnections ?? 0, 0);

    const client = await sdk.connect(t, unmcp.sse('everything'));
    const running = await unmcp.phase('everything', 'Ready', { and: (status) => status.currentConnections === 1 });
    assert.equal(running.status.isRunning, true);
    const processes = unmcp.serverProcesses();
    assert.equal(processes.length, 1, 'connecting started one process');

    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === 'echo'));
    assert.equal(tools.length, running.status.toolCount, 'the API shows how many tools there are');
    assert.equal(running.status.serverInfo.name, client.getServerVersion().name);
    assert.equal(text(await client.callTool({ name: 'echo', arguments: { message: 'grüß "dich"' } })), 'Echo: grüß "dich"');

    await client.close();
    const slept = await unmcp.asleep('everything');
    assert.equal(slept.status.isRunning, false);
    assert.ok(!alive(processes[0]));

    const again = await sdk.connect(t, unmcp.sse('everything'));
    assert.equal(text(await again.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })), 'The sum of 2 and 3 is 5.');
    const woken = await unmcp.server('everything');
    assert.ok(woken.status.incarnation > running.status.incarnation, 'it is another life of the server');
    assert.equal(unmcp.serverProcesses().length, 1);
  });

  test(`${sdk.name}: a silent client lets the server sleep, and its next call wakes it`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { echo: echo({ idleTimeout: 1 }) } });
    const client = await sdk.connect(t, unmcp.sse('echo'));
    const first = text(await client.callTool({ name: 'pid', arguments: {} }));
    await unmcp.phase('echo', 'Asleep', { and: (status) => status.currentConnections === 1 });
    await until('the process is gone', () => !alive(Number(first)));

    const second = text(await client.callTool({ name: 'pid', arguments: {} }));
    assert.notEqual(second, first);
    assert.deepEqual(unmcp.serverProcesses(), [Number(second)]);
  });

  test(`${sdk.name}: a call in flight keeps the server awake, and progress arrives`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { everything: everything({ idleTimeout: 1 }) } });
    const client = await sdk.connect(t, unmcp.sse('everything'));
    const seen = [];
    const call = { name: 'trigger-long-running-operation', arguments: { duration: 3, steps: 3 } };
    const options = { onprogress: ({ progress }) => seen.push(progress) };
    // v1 takes a result schema before the options.
    const result = await (sdk.name === 'SDK v1' ? client.callTool(call, undefined, options) : client.callTool(call, options));
    assert.match(text(result), /completed/);
    assert.deepEqual(seen.slice(0, 2), [1, 2]);
  });
}

test('two clients at once, 100 calls each with the same ids: every answer is its caller\'s', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo(), everything: everything() } });
  for (const [server, tool, argument, answer] of [
    ['echo', 'echo', 'text', (sent) => sent],
    ['everything', 'echo', 'message', (sent) => `Echo: ${sent}`],
  ]) {
    // Both SDKs count their ids from 0, so that these are the same in both clients.
    const clients = await Promise.all([...sdks, ...sdks].map((sdk) => sdk.connect(t, unmcp.sse(server))));
    const wrong = [];
    await Promise.all(
      clients.flatMap((client, index) =>
        Array.from({ length: 100 }, async (_, call) => {
          const sent = `client ${index} call ${call}`;
          const got = text(await client.callTool({ name: tool, arguments: { [argument]: sent } }));
          if (got !== answer(sent)) wrong.push({ sent, got });
        }),
      ),
    );
    assert.deepEqual(wrong, []);
    assert.equal(unmcp.serverProcesses().length > 0, true);
  }
});

test('ids that differ only in type, and progress tokens that are equal, are kept apart', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const sessions = await Promise.all([1, 2].map(() => RawSession.connect(t, unmcp.sse('echo'))));
  await Promise.all(
    sessions.map(async (session, index) => {
      const [number, string] = await Promise.all([
        session.tool(1, 'echo', { text: `number ${index}` }),
        session.tool('1', 'echo', { text: `string ${index}` }),
      ]);
      assert.equal(number.id, 1);
      assert.equal(text(number.result), `number ${index}`);
      assert.equal(string.id, '1');
      assert.equal(text(string.result), `string ${index}`);
    }),
  );
  const counts = [3, 5];
  await Promise.all(
    sessions.map((session, index) =>
      session.call(2, 'tools/call', {
        name: 'notify',
        arguments: { count: counts[index] },
        _meta: { progressToken: 'token' },
      }),
    ),
  );
  for (const [index, session] of sessions.entries()) {
    const progress = session.messages.filter(({ method }) => method === 'notifications/progress');
    assert.deepEqual(progress.map(({ params }) => [params.progressToken, params.progress, params.total]),
      Array.from({ length: counts[index] }, (_, i) => ['token', i + 1, counts[index]]));
  }
});

test('a sampling request goes to the session whose call is in flight, and its answer comes back', async (t) => {
  const unmcp = await Unmcp.up(t, { servers: { echo: echo() } });
  const clients = await Promise.all(
    [0, 1].map(async (index) => {
      const session = await RawSession.open(t, unmcp.sse('echo'));
      const answer = await session.call(0, 'initialize', {
        protocolVersion: '2024-11-05',
        capabilities: index === 0 ? { sampling: {} } : {},
        clientInfo: { name: `client ${index}`, version: '1' },
      });
      assert.ok(answer.result);
      await session.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
      return session;
    }),
  );
  const call = clients[0].tool(1, 'sample');
  const request = await until('the request arrives', () => clients[0].messages.find(({ method }) => method));
  assert.equal(request.method, 'sampling/createMessage');
  await clients[0].post({ jsonrpc: '2.0', id: request.id, result: { role: 'assistant', model: 'm', content: { type: 'text', text: 'hello' } } });
  assert.equal(JSON.parse(text((await call).result)).content.text, 'hello');

  // The other client has no such capability: the server gets an error, and nobody is asked.
  const refused = JSON.parse(text((await clients[1].tool(1, 'sample')).result));
  assert.equal(typeof refused.code, 'number');
  assert.equal(clients[0].messages.filter(({ method }) => method).length, 1);
  assert.equal(clients[1].messages.filter(({ method }) => method).length, 0);
});
