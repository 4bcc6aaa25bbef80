// The manifests in examples/, as `tools/up` runs them: from npm, with npx.
// One arrangement: -f is of `unmcp up`.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { sdks, text } from './lib/clients.mjs';
import { root, Unmcp } from './lib/unmcp.mjs';

const examples = join(root, 'examples');
const kKnownWithin = 120_000; // ms: npx may have to fetch

test('every example starts, and does what it is for', async (t) => {
  const unmcp = await Unmcp.up(t, { args: ['-f', examples] });
  const uses = {
    everything: ['echo', { message: 'hello' }, /Echo: hello/],
    filesystem: ['list_allowed_directories', {}, /\//],
    memory: ['read_graph', {}, /entities/],
  };
  const { json } = await unmcp.get('/api/v1/servers');
  assert.deepEqual(json.items.map(({ name }) => name), Object.keys(uses));
  for (const [name, [tool, args, expected]] of Object.entries(uses)) {
    const known = await unmcp.phase(name, 'Asleep', { and: ({ toolCount }) => toolCount > 0, within: kKnownWithin })
      .catch(() => unmcp.phase(name, 'Ready', { and: ({ toolCount }) => toolCount > 0 }));
    const client = await sdks[0].connect(t, unmcp.sse(name));
    assert.equal((await client.listTools()).tools.length, known.status.toolCount);
    assert.match(text(await client.callTool({ name: tool, arguments: args })), expected);
  }
});

test('the examples are of the versions that are tested', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'tests/e2e/package.json'), 'utf8'));
  for (const file of readdirSync(examples).filter((name) => name.endsWith('.yaml'))) {
    const packages = readFileSync(join(examples, file), 'utf8').match(/@modelcontextprotocol\/[\w-]+@[\w.-]+/g) ?? [];
    assert.equal(packages.length, 1, file);
    const [, name, version] = /^(@.*)@(.*)$/.exec(packages[0]);
    if (name in dependencies) assert.equal(version, dependencies[name], file);
  }
});
