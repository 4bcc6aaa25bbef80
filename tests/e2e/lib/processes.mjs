// What runs on this machine, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended meanwhile
  }
}

const pids = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);

function stat(pid) {
  const text = read(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], parent: Number(fields[1]) };
}

// A zombie has ended; only its parent has not looked yet.
export const alive = (pid) => !['', 'Z', 'X'].includes(stat(pid).state);

// Processes that were started, however indirectly, with `NAME=value` in their environment.
export function withEnvironment(name, value) {
  return pids().filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(`${name}=${value}`) && alive(pid));
}

export function descendants(root) {
  const parents = pids().map((pid) => [pid, stat(pid).parent]);
  const found = [root];
  for (const ancestor of found) {
    for (const [pid, parent] of parents) if (parent === ancestor) found.push(pid);
  }
  return found.slice(1);
}

// Resident bytes of a process and all below it, except the MCP servers.
export function residentBytes(root, except = []) {
  return [root, ...descendants(root)]
    .filter((pid) => !except.includes(pid))
    .map((pid) => Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024)
    .reduce((sum, bytes) => sum + bytes, 0);
}
