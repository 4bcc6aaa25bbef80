// What the dashboard shows and the scrape configuration asks for is there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';

import { RawSession, request } from './lib/clients.mjs';
import { echo, root, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

const monitoring = join(root, 'manifests/monitoring');
const dashboard = JSON.parse(readFileSync(join(monitoring, 'grafana-dashboard.json'), 'utf8'));

const queries = [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.templating.list.map(({ query }) => query.query ?? ''),
];
const named = new Set(queries.flatMap((query) => query.match(/\b(?:unmcp|controller_runtime|workqueue|process)_[a-z0-9_]+/g) ?? []));

test('the dashboard has a place and an id of its own for each panel', () => {
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const places = dashboard.panels.map(({ gridPos: { x, y } }) => `${x},${y}`);
  assert.equal(new Set(places).size, places.length);
});

test('every figure of the dashboard is in /metrics', async (t) => {
  assert.ok(named.size > 20, [...named].join(' '));
  const unmcp = await Unmcp.up(t, { servers: { good: echo({ idleTimeout: 1 }), bad: { command: ['/nowhere/at/all'], startupTimeout: 1 } } });
  // Some count what seldom happens: a start, a stop, one that fails, a foreign Host.
  const session = await RawSession.connect(t, unmcp.sse('good'));
  session.close();
  await RawSession.open(t, unmcp.sse('bad'));
  assert.equal((await request(`${unmcp.url}/health`, { headers: { host: 'elsewhere.example' } })).status, 403);
  let metrics;
  await until('/metrics has them all', async () => {
    metrics = (await unmcp.get('/metrics')).text;
    const missing = [...named].filter((name) => !new RegExp(`^${name}[{ ]`, 'm').test(metrics));
    if (missing.length) throw new Error(`missing: ${missing.join(' ')}`);
    return true;
  }, { within: 30_000 });
  const families = [...metrics.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  assert.deepEqual(families.filter((name, i) => families.indexOf(name) !== i), [], 'a family that is there twice is refused by Prometheus');
});

test('the scrape configuration asks where unmcp answers', async (t) => {
  const [{ metrics_path: path, static_configs: [{ targets: [target] }] }] =
    parse(readFileSync(join(monitoring, 'prometheus-scrape.yaml'), 'utf8')).scrape_configs;
  assert.equal(target, '127.0.0.1:8080', 'where `unmcp up` listens when it is told nothing');
  const unmcp = await Unmcp.up(t);
  assert.match((await unmcp.get(path)).headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
});
