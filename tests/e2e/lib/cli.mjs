// Runs `unmcp` commands as a user or a script does.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { root, unmcpBinary } from './unmcp.mjs';
import { until, within } from './until.mjs';

const kEndsWithin = 20_000; // ms; one that waits for a server to start takes a second or two

const terminalScript = join(root, 'tests/e2e/lib/terminal.py');

// A command that runs. `terminal` gives it one: stdout then has all that it
// prints, and input is typed.
export class Command {
  constructor(t, args, { env = {}, terminal = false, command = [unmcpBinary()] } = {}) {
    const [program, ...rest] = [...(terminal ? ['python3', terminalScript] : []), ...command, ...args];
    const inherited = { ...process.env, TERM: 'xterm', ...env };
    for (const name of ['NO_COLOR', 'UNMCP_SERVER']) if (!(name in env)) delete inherited[name];
    this.process = spawn(program, rest, { env: inherited });
    this.stdout = '';
    this.stderr = '';
    this.process.stdin.on('error', () => {}); // it may end before it has read all
    this.process.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code, signal) => {
        this.exited = true;
        resolve((this.code = code ?? signal));
      });
    });
    t.after(() => this.process.kill('SIGKILL'));
    this.what = `unmcp ${args.join(' ')}`;
  }

  type(text) {
    this.process.stdin.write(text);
  }

  // Waits until it has printed what matches.
  prints(pattern, options) {
    return until(`${this.what} prints ${pattern}`, () => pattern.exec(this.stdout) ?? fail(this), options);
  }

  async end({ input } = {}) {
    this.process.stdin.end(input);
    await within(kEndsWithin, `${this.what} ends`, this.ended);
    return this;
  }
}

function fail({ stdout, stderr }) {
  throw new Error(`${stdout}\n${stderr}`);
}

// Runs a command to its end: {code, stdout, stderr}.
export const run = (t, args, { input, ...options } = {}) => new Command(t, args, options).end({ input });

// Commands for one unmcp: `const cli = cliOf(unmcp); await cli(t, ['get', 'servers'])`.
export const cliOf = (unmcp) => (t, args, options) => run(t, [...args, '--data-dir', unmcp.dataDir], options);
