// MCP clients: the two official SDKs as they are, and one that can misbehave.
import { Client as ClientV2, SSEClientTransport as SseV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js';
import http from 'node:http';

import { until, within } from './until.mjs';

const kInfo = { name: 'e2e', version: '1.0.0' };

function sdk(name, Client, Transport) {
  return {
    name,
    // Connects as the SDK's documentation shows; closed when the test ends.
    async connect(t, url, options) {
      const client = new Client(kInfo, options);
      t.after(() => client.close());
      await client.connect(new Transport(new URL(url)));
      return client;
    },
  };
}

export const sdks = [sdk('SDK v1', ClientV1, SseV1), sdk('SDK v2', ClientV2, SseV2)];

export const text = (result) => result.content[0].text;

const agent = new http.Agent({ keepAlive: true });

// One HTTP request; the body may be a string, a buffer, or pieces of them (sent chunked).
export function request(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(url, { method, headers, agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const content = Buffer.concat(chunks).toString();
        let json;
        try {
          json = JSON.parse(content);
        } catch {} // not JSON: the test that cares sees undefined
        resolve({ status: response.statusCode, headers: response.headers, text: content, json });
      });
    });
    outgoing.on('error', reject);
    if (Array.isArray(body)) {
      for (const piece of body) outgoing.write(piece);
      outgoing.end();
    } else {
      outgoing.end(body);
    }
  });
}

// A session over HTTP+SSE, with every step in the test's hands.
export class RawSession {
  // Opens the stream and waits for its endpoint.
  static async open(t, url, { headers = {} } = {}) {
    const session = new RawSession();
    t.after(() => session.close());
    session.response = await new Promise((resolve, reject) => {
      session.outgoing = http.get(url, { agent: false, headers: { accept: 'text/event-stream', ...headers } }, resolve);
      session.outgoing.on('error', reject);
    });
    session.#read();
    if (session.response.statusCode !== 200) return session;
    const first = await until('the first event', () => session.events[0]);
    if (first.event !== 'endpoint') throw new Error(`the first event is ${JSON.stringify(first)}`);
    session.endpoint = new URL(first.data, url);
    return session;
  }

  // Opens, and does the handshake.
  static async connect(t, url, options) {
    const session = await RawSession.open(t, url, options);
    await session.initialize();
    return session;
  }

  events = []; // {event, data, id}
  comments = 0;
  messages = []; // parsed data of message events
  ended = undefined; // 'end': closed in good order; else why it was cut off
  #waiting = new Map(); // id as JSON → resolve

  #read() {
    let pieces = []; // of a line whose end has not come: it may be 20 MB long
    let event = {};
    this.response.setEncoding('utf8');
    this.response.on('data', (chunk) => {
      pieces.push(chunk);
      if (!chunk.includes('\n')) return;
      const lines = pieces.join('').split('\n');
      pieces = [lines.pop()];
      for (const line of lines) {
        if (line === '' && 'data' in event) {
          this.#take(event);
          event = {};
        }
        if (line.startsWith(':')) this.comments++;
        const field = /^(event|data|id): ?([^]*)$/.exec(line);
        if (field) event[field[1]] = field[2];
      }
    });
    this.response.on('end', () => (this.ended ??= 'end'));
    this.response.on('error', (error) => (this.ended ??= error.message));
    this.response.on('close', () => (this.ended ??= 'close'));
  }

  #take(event) {
    this.events.push(event);
    if ((event.event ?? 'message') !== 'message') return;
    const message = JSON.parse(event.data);
    this.messages.push(message);
    if ('id' in message && !('method' in message)) this.#waiting.get(JSON.stringify(message.id))?.(message);
  }

  post(body, headers = { 'content-type': 'application/json' }) {
    return request(this.endpoint, {
      method: 'POST',
      headers,
      body: typeof body === 'string' || Buffer.isBuffer(body) || Array.isArray(body) ? body : JSON.stringify(body),
    });
  }

  // Sends a request and returns the JSON-RPC answer.
  async call(id, method, params, { timeout = 15_000 } = {}) {
    const key = JSON.stringify(id);
    const answer = new Promise((resolve) => this.#waiting.set(key, resolve));
    const posted = await this.post({ jsonrpc: '2.0', id, method, params });
    if (posted.status !== 202) throw new Error(`POST ${method}: ${posted.status} ${posted.text}`);
    return within(timeout, `an answer to ${method} ${key}`, answer);
  }

  tool(id, name, args = {}, options) {
    return this.call(id, 'tools/call', { name, arguments: args }, options);
  }

  async initialize() {
    const answer = await this.call('init', 'initialize', {
      protocolVersion: '2024-11-05',
      capabilities: {},
      clientInfo: kInfo,
    });
    const posted = await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    if (posted.status !== 202) throw new Error(`POST notifications/initialized: ${posted.status}`);
    return answer.result;
  }

  close() {
    this.outgoing.destroy();
  }
}
