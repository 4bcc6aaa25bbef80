// Measures the bridges side by side and prints Markdown: README.md says how.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';

import { bridges, echoServer, load } from './bridges.mjs';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
});
// Rounds are interleaved over the bridges, and medians taken: a machine's other
// work then falls on all of them.
const plan = options.quick
  ? { rounds: 1, seconds: 2, warmUp: 0.5, sessions: [1, 8, 64], open: 200, wakes: 3 }
  : { rounds: 3, seconds: 8, warmUp: 2, sessions: [1, 8, 64], open: 200, wakes: 15 };

// What is to be reached, from the project's first milestone.
const reach = { cpu64: 1 / 6, p99at64: 1 / 10, cpu1: 1 / 2, idleMegabytes: 40, sessionKilobytes: 25, wakeMilliseconds: 10 };

const chosen = bridges.filter(({ name }) => !options.only || options.only.split(',').includes(name));
const run = promisify(execFile);
const progress = (text) => process.stderr.write(`… ${text}\n`);

async function measure(...args) {
  const { stdout } = await run(load, args.map(String));
  return JSON.parse(stdout);
}

const onBridge = (bridge, ...args) =>
  measure('sse', '--url', bridge.url, '--bridge', bridge.pid, '--exclude', basename(echoServer), ...args);

async function withBridge({ start }, options, use) {
  const bridge = await start(options);
  try {
    return await use(bridge);
  } finally {
    await bridge.stop();
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

// The median of each number over the rounds; of the rest, the last.
function medians(results) {
  return Object.fromEntries(
    Object.entries(results.at(-1)).map(([key, value]) => [
      key,
      typeof value === 'number' ? median(results.map((result) => result[key])) : value,
    ]),
  );
}

async function speed() {
  const results = {};
  for (let round = 1; round <= plan.rounds; round++) {
    for (const sessions of plan.sessions) {
      for (const bridge of chosen) {
        progress(`round ${round} of ${plan.rounds}: ${bridge.name}, ${sessions} session(s)`);
        const result = await withBridge(bridge, {}, (running) =>
          onBridge(running, '--sessions', sessions, '--seconds', plan.seconds, '--warm-up', plan.warmUp));
        ((results[bridge.name] ??= {})[sessions] ??= []).push(result);
      }
    }
  }
  for (const bySessions of Object.values(results)) {
    for (const sessions of plan.sessions) bySessions[sessions] = medians(bySessions[sessions]);
  }
  return results;
}

async function memory() {
  const results = {};
  for (const bridge of chosen) {
    progress(`memory of ${bridge.name}, ${plan.open} open sessions`);
    const result = await withBridge(bridge, {}, (running) => onBridge(running, '--sessions', plan.open, '--seconds', 0));
    results[bridge.name] = {
      idle: result.rss_before / 1e6,
      idlePss: result.pss_before / 1e6,
      perSession: (result.rss_open - result.rss_before) / 1e3 / plan.open,
    };
  }
  return results;
}

// Milliseconds from GET to the answer to initialize, server awake and asleep.
async function connecting() {
  const results = {};
  const times = async (before, url) => {
    const all = [];
    for (let i = 0; i < plan.wakes; i++) {
      await before();
      all.push((await measure('sse', '--url', url, '--sessions', 1, '--seconds', 0)).connect_us / 1e3);
    }
    return median(all);
  };
  for (const bridge of chosen) {
    progress(`connecting to ${bridge.name}`);
    results[bridge.name] = {
      awake: await withBridge(bridge, {}, async ({ url }) => {
        await measure('sse', '--url', url, '--sessions', 1, '--seconds', 0); // it is awake from here on
        return times(() => {}, url);
      }),
      asleep: bridge.name === 'unmcp'
        ? await withBridge(bridge, { idleTimeout: 1 }, ({ url, asleep }) => times(asleep, url))
        : undefined,
    };
  }
  return results;
}

// Where unmcp's time goes, by shared object: a sample with perf, where there is one.
async function profile(sessions) {
  const unmcp = chosen.find(({ name }) => name === 'unmcp');
  if (!unmcp || spawnSync('perf', ['--version']).status !== 0) return undefined;
  progress(`profile of unmcp, ${sessions} session(s)`);
  const directory = mkdtempSync(join(tmpdir(), 'unmcp-bench-'));
  const file = join(directory, 'perf.data');
  try {
    return await withBridge(unmcp, {}, async (running) => {
      const loading = onBridge(running, '--sessions', sessions, '--seconds', plan.seconds, '--warm-up', 1);
      const perf = spawn('perf', ['record', '-q', '-F', '1999', '-o', file, '-p', String(running.pid), '--', 'sleep', String(plan.seconds)]);
      const code = await new Promise((resolve) => perf.on('exit', resolve));
      await loading;
      const report = spawnSync('perf', ['report', '-q', '-i', file, '--stdio', '--sort', 'dso', '-t', ';'], { encoding: 'utf8' });
      if (code !== 0 || report.status !== 0) return undefined;
      return report.stdout.split('\n').map((line) => line.trim().split(';')).filter((fields) => fields.length === 2)
        .map(([share, object]) => [object.trim(), parseFloat(share)]).filter(([, share]) => share >= 1);
    });
  } catch {
    return undefined; // perf may not be permitted here; the tables above stand without it
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const number = (value, digits = 0) =>
  value === undefined ? '–' : value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log([line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n') + '\n');
}

function printSpeed(results) {
  console.log('## Calls\n');
  const rows = [];
  for (const sessions of plan.sessions) {
    for (const [name, { [sessions]: r }] of Object.entries(results)) {
      rows.push([sessions, name, number(r.calls_per_second), number(r.p50_us), number(r.p99_us), number(r.cpu_us_per_call, 1),
        number(r.user_us_per_call, 1), number(r.system_us_per_call, 1), number(r.switches_per_call, 2), number(r.load_cpu_us_per_call, 1), r.wrong]);
    }
  }
  table(['sessions', 'bridge', 'calls/s', 'p50 µs', 'p99 µs', 'CPU µs/call', 'user', 'system', 'switches/call', "load's CPU", 'wrong'], rows);
}

function printRest(memoryUse, connects, direct) {
  console.log('## Memory, and connecting\n');
  table(['bridge', 'before the first session MB (shared pages once)', 'per open session KB', 'connect, awake ms', 'connect, asleep ms'],
    chosen.map(({ name }) => [name, `${number(memoryUse[name].idle, 1)} (${number(memoryUse[name].idlePss, 1)})`,
      number(memoryUse[name].perSession, 1), number(connects[name].awake, 2), number(connects[name].asleep, 2)]));
  console.log(`The server alone: spawn to the answer to initialize ${number(direct.spawn_us / 1e3, 2)} ms; ` +
    `${number(direct.calls_per_second)} calls/s over its pipes, one in flight.\n`);
}

function printComposition(results, profiles) {
  console.log('## What the time of unmcp is made of\n');
  for (const sessions of [1, 64]) {
    const r = results.unmcp[sessions];
    console.log(`${sessions} session(s): ${number(r.cpu_us_per_call, 1)} µs a call, by thread:\n`);
    table(['process/thread', 'user µs', 'system µs', 'switches'],
      Object.entries(r.threads).filter(([, use]) => use.cpu_us_per_call > 0.05)
        .sort(([, a], [, b]) => b.cpu_us_per_call - a.cpu_us_per_call)
        .map(([name, use]) => [name, number(use.user_us_per_call, 1), number(use.system_us_per_call, 1), number(use.switches_per_call, 2)]));
    if (!profiles[sessions]) {
      console.log('(No profile: `perf` is missing or not permitted.)\n');
      continue;
    }
    table(['shared object', 'share', 'µs a call'],
      profiles[sessions].map(([object, share]) => [object, `${number(share, 1)}%`, number((share / 100) * r.cpu_us_per_call, 1)]));
  }
}

function printReach(results, memoryUse, connects, direct) {
  const { unmcp, ...peers } = results;
  if (!unmcp || !Object.keys(peers).length) return;
  const best = (sessions, key) => Math.min(...Object.values(peers).map((peer) => peer[sessions][key]));
  const rows = [];
  const share = (what, sessions, key, limit) => {
    const seen = unmcp[sessions][key] / best(sessions, key);
    rows.push([what, `1/${number(1 / limit)}`, `1/${number(1 / seen, 1)}`, seen <= limit ? 'reached' : 'not reached']);
  };
  const absolute = (what, unit, seen, limit) =>
    rows.push([what, `${limit} ${unit}`, `${number(seen, 1)} ${unit}`, seen <= limit ? 'reached' : 'not reached']);
  share("CPU per call at 64 sessions, of the better peer's", 64, 'cpu_us_per_call', reach.cpu64);
  share("p99 at 64 sessions, of the better peer's", 64, 'p99_us', reach.p99at64);
  share("CPU per call at 1 session, of the better peer's", 1, 'cpu_us_per_call', reach.cpu1);
  absolute('memory before the first session', 'MB', memoryUse.unmcp.idle, reach.idleMegabytes);
  absolute('memory per open session', 'KB', memoryUse.unmcp.perSession, reach.sessionKilobytes);
  absolute("connect with the server asleep, over the server's own start", 'ms', connects.unmcp.asleep - direct.spawn_us / 1e3, reach.wakeMilliseconds);
  console.log('## What is to be reached\n');
  table(['', 'reach', 'seen', ''], rows);
}

const results = await speed();
const memoryUse = await memory();
const connects = await connecting();
progress('the server alone');
const direct = await measure('direct', '--times', 30, '--calls', 50_000, '--', echoServer);
const profiles = { 1: await profile(1), 64: await profile(64) };

console.log(`${cpus()[0].model}, ${cpus().length} processors; Linux ${release()}; Node ${process.version}; ` +
  `${plan.rounds} round(s) of ${plan.seconds} s\n`);
printSpeed(results);
printRest(memoryUse, connects, direct);
if (results.unmcp) printComposition(results, profiles);
printReach(results, memoryUse, connects, direct);
