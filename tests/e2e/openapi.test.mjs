// The REST API against its own description: /openapi.json is valid, what is
// answered is as it says, and whatever is sent, the answer is a documented one,
// with an error that names what is wrong, and never a 500.
//
// UNMCP_E2E_SEED varies what is generated.
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';

import { random, Schemas } from './lib/generate.mjs';
import { echo, Unmcp } from './lib/unmcp.mjs';
import { within } from './lib/until.mjs';

const seed = Number(process.env.UNMCP_E2E_SEED ?? 1);
const rng = random(seed);
const kRounds = 60; // random bodies per operation: some seconds in all
const kAnswerWithin = 10_000; // ms; the slowest takes a few hundred

let unmcp, document, schemas, ajv;
const cleanUps = [];
before(async () => {
  const context = { name: 'openapi', after: (f) => cleanUps.unshift(f) };
  unmcp = await Unmcp.up(context, { servers: { fixture: echo() } });
  document = (await unmcp.get('/openapi.json')).json;
  schemas = new Schemas(document, rng);
  ajv = new Ajv2020.default({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, 'api');
});
after(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
});

// --- sending and judging ---

const agent = new http.Agent({ keepAlive: true });
const json = { 'content-type': 'application/json' };

// Paths go out as they are, which no URL parser would do. `onEvent` gets an
// event stream's first event, and ends the request.
function send(method, path, { headers = {}, body } = {}) {
  // Node sends the body of a DELETE without saying that there is one.
  if (body !== undefined) headers = { 'content-length': Buffer.byteLength(body), ...headers };
  const { hostname, port } = new URL(unmcp.url);
  const answer = new Promise((resolve, reject) => {
    const outgoing = http.request({ hostname, port, path, method, headers, agent }, (response) => {
      const type = response.headers['content-type'];
      let text = '';
      const done = () => {
        let content;
        try {
          content = JSON.parse(text);
        } catch {} // judged by who cares
        resolve({ status: response.statusCode, headers: response.headers, type, text, json: content });
      };
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece;
        if (type === 'text/event-stream' && text.includes('\n\n')) {
          done();
          outgoing.destroy();
        }
      });
      response.on('end', done);
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  return within(kAnswerWithin, `an answer to ${method} ${path.slice(0, 200)}`, answer);
}

const pointer = (...keys) => 'api#/' + keys.map((key) => encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');

function conforms(reference, value, what) {
  const validate = ajv.getSchema(reference);
  assert.ok(validate, reference);
  assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value).slice(0, 2000)}`);
}

// The answer is one that the operation has.
function judge(operation, answer, what) {
  what = `${what} (seed ${seed}): ${answer.status} ${answer.text.slice(0, 500)}`;
  assert.ok(answer.status < 500, what);
  const code = String(answer.status);
  const { path, method } = operation;
  assert.ok(code in document.paths[path][method].responses, `not documented: ${what}`);
  if (answer.status >= 400) {
    assert.equal(answer.type, 'application/json', what);
    conforms(pointer('components', 'schemas', 'Error'), answer.json, what);
    assert.equal(answer.json.error.code, answer.status, what);
    assert.notEqual(answer.json.error.message, '', what);
    return;
  }
  const content = document.paths[path][method].responses[code].content;
  if (!content) {
    assert.equal(answer.text, '', what);
    assert.equal(answer.type, undefined, what);
    return;
  }
  const type = answer.type.split(';')[0];
  assert.ok(type in content, what);
  if (type === 'application/json') {
    conforms(pointer('paths', path, method, 'responses', code, 'content', type, 'schema'), answer.json, what);
  }
}

async function ask(operation, request, what = '') {
  const path = request.path ?? operation.path.replace(/\{\w+\}/g, request.id ?? existing(operation));
  const answer = await send(operation.method.toUpperCase(), path + (request.query ?? ''), request);
  judge(operation, answer, `${operation.method} ${path}${request.query ?? ''} ${what} ${String(request.body ?? '').slice(0, 300)}`);
  return answer;
}

// REST operations, as the document has them.
const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.operationId && operation.tags[0].endsWith('Service'))
      .map(([method, operation]) => ({ path, method, ...operation })));

const isPool = (operation) => operation.path.includes('/pools');
const existing = (operation) => (isPool(operation) ? 'kept' : 'fixture');
const bodySchema = (operation) => operation.requestBody.content['application/json'].schema;

// What is generated is never run: servers are suspended, and their command is known.
let count = 0;
function harmless(operation, body) {
  if (operation.method === 'post') body.name = `generated-${++count}`;
  if (!isPool(operation)) {
    body.spec = { ...body.spec, command: ['cat'], args: [], suspend: true, pool: 'kept' };
    delete body.pool;
    delete body.spec.url;
    delete body.spec.headers;
    delete body.spec.transport;
  }
  delete body.resourceVersion;
  return body;
}

async function create(t, collection, body) {
  const answer = await send('POST', `/api/v1/${collection}`, { headers: json, body: JSON.stringify(body) });
  assert.equal(answer.status, 201, answer.text);
  t.after(() => send('DELETE', answer.headers.location));
  return answer;
}

// --- the document ---

test('/openapi.json is a valid OpenAPI 3.1 document', async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
  assert.equal(validator.version, '3.1');
});

test('what is generated from a schema keeps it', () => {
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    for (let i = 0; i < 20; i++) conforms(pointer('components', 'schemas', name), schemas.valid(schema), name);
  }
});

// --- REST ---

test('a pool to work in', async () => {
  const answer = await send('POST', '/api/v1/pools', { headers: json, body: JSON.stringify({ name: 'kept', spec: {} }) });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers.location, '/api/v1/pools/kept');
});

test('reads answer as documented', async () => {
  for (const operation of operations().filter(({ method }) => method === 'get')) {
    const answer = await ask(operation, {});
    // A server that sleeps has no logs.
    if (!operation.path.endsWith('/logs')) assert.equal(answer.status, 200, `${operation.path}: ${answer.text}`);
  }
});

test('streams send events as documented', async () => {
  for (const operation of operations().filter(({ responses }) => responses['200']?.content?.['text/event-stream'])) {
    const when = operation.parameters.find(({ name }) => ['watch', 'follow'].includes(name)).name;
    const answer = await ask(operation, { query: `?${when}=true` });
    if (answer.status !== 200) continue; // logs of a server that sleeps
    assert.equal(answer.type, 'text/event-stream');
    const data = /^data: (.*)$/m.exec(answer.text)[1];
    const reference = pointer('paths', operation.path, 'get', 'responses', '200', 'content', 'text/event-stream', 'x-event-data');
    conforms(reference, JSON.parse(data), `${operation.path} ${data}`);
  }
});

test('what is valid is taken, and what comes back can be sent again', async (t) => {
  for (const collection of ['servers', 'pools']) {
    const path = `/api/v1/${collection}`;
    const item = Object.keys(document.paths).find((each) => each.startsWith(`${path}/{`) && !each.slice(path.length + 2).includes('/'));
    const post = { path, method: 'post', ...document.paths[path].post };
    const put = { path: item, method: 'put', ...document.paths[item].put };
    const body = harmless(post, { spec: {} });
    const made = await create(t, collection, body);
    judge(post, made, `POST ${path}`);
    const id = made.json.name;
    // Without the version: the controller may have written of it since.
    const { resourceVersion, ...unconditional } = made.json;
    const again = await ask(put, { id, headers: json, body: JSON.stringify(unconditional) }, 'what POST answered');
    assert.equal(again.status, 200, again.text);
    assert.deepEqual(again.json.spec, made.json.spec);
    const stale = await ask(put, { id, headers: json, body: JSON.stringify({ ...made.json, resourceVersion: '1' }) });
    assert.equal(stale.status, 409, stale.text);
    const twice = await ask(post, { headers: json, body: JSON.stringify(body) });
    assert.equal(twice.status, 409, twice.text);
  }
});

test('bodies that keep the schema: taken, or refused with a reason', async (t) => {
  for (const operation of operations().filter(({ requestBody }) => requestBody)) {
    const target = await create(t, isPool(operation) ? 'pools' : 'servers', harmless({ ...operation, method: 'post' }, { spec: {} }));
    let taken = 0;
    for (let i = 0; i < kRounds; i++) {
      const body = harmless(operation, schemas.valid(bodySchema(operation)));
      const answer = await ask(operation, { id: target.json.name, headers: json, body: JSON.stringify(body) });
      if (answer.status < 300) taken++;
      if (answer.status === 201) await send('DELETE', answer.headers.location);
    }
    // A rule that no schema can say (one of two fields, say) refuses some.
    assert.ok(taken > kRounds / 4, `${operation.operationId}: only ${taken} of ${kRounds} were taken`);
  }
});

test('bodies with one field wrong: 400, and the field is named', async () => {
  for (const operation of operations().filter(({ requestBody }) => requestBody)) {
    const schema = bodySchema(operation);
    const id = existing(operation);
    const cases = [];
    schemas.walk(schema, (path, property, readOnly) => {
      for (const { value, why } of schemas.wrong(property)) cases.push({ path, value, why, readOnly });
      const resolved = schemas.resolve(property);
      if (resolved.properties) {
        cases.push({ path, value: { unheardOf: 1 }, why: 'an unknown field', readOnly, field: 'unheardOf' });
        for (const name of readOnly ? [] : (resolved.required ?? [])) {
          cases.push({ path, value: {}, why: `${name} is missing`, readOnly, field: resolved.required[0] });
        }
      }
    });
    assert.ok(cases.length > 50, `${cases.length} cases`);
    for (const { path, value, why, readOnly, field } of cases) {
      const body = schemas.around(schema, path, value);
      // Nothing is made should it be taken.
      if (operation.method === 'post' && path[0] !== 'name') body.name = existing(operation);
      const what = `${path.join('.')}: ${why}`;
      const answer = await ask(operation, { id, headers: json, body: JSON.stringify(body) }, what);
      if (readOnly && !why.startsWith('the type')) continue; // not looked at
      assert.equal(answer.status, 400, `${operation.operationId} ${what}: ${answer.text}`);
      const name = path.reduce((text, key) => (key === 0 ? `${text}[0]` : text ? `${text}.${key}` : key), '');
      const { message } = answer.json.error;
      assert.ok(message.startsWith(name), `${operation.operationId} ${what}: says "${message}"`);
      if (field) assert.ok(message.includes(field), `${what}: says "${message}"`);
    }
  }
});

const kRubbish = [
  '', ' ', '{', '}', '[]', '[{}]', '7', '"text"', 'true', 'null', 'nonsense', '{"a":1,"a":2}', '{"name":"x","name":"y"}',
  '{"spec":NaN}', '{"spec":{"idleTimeout":1e999}}', '{"spec":{"idleTimeout":-Infinity}}', '{"name":"\\ud800"}',
  '{"name":"a","spec":{}}}', "{'name':'a'}", '{"name":"a",}', '// c\n{}', '\ufeff{}', '{"name":"a\u0000b"}',
  '{"spec":'.repeat(200) + '1' + '}'.repeat(200), '['.repeat(100_000), '{"unheardOf":1}', '{"":1}', '{"__proto__":{}}',
  Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), Buffer.alloc(1000), `{"spec":{"podTemplate":{"a":"${'x'.repeat(100_000)}"}}}`,
  `{"spec":{"podTemplate":${'{"a":'.repeat(60)}1${'}'.repeat(60)}}}`,
];

test('rubbish bodies: 400', async () => {
  for (const operation of operations().filter(({ requestBody }) => requestBody)) {
    for (const body of kRubbish) {
      const answer = await ask(operation, { headers: json, body }, 'rubbish');
      // PUT of a pool's podTemplate: there is no such field, which is a 400 too.
      assert.equal(answer.status, 400, `${operation.operationId} ${String(body).slice(0, 100)}: ${answer.text}`);
    }
    const typed = await ask(operation, { headers: { 'content-type': 'text/plain' }, body: '{}' });
    assert.equal(typed.status, 415, typed.text);
    assert.equal((await ask(operation, { body: '{}' })).status, 415);
    const large = await ask(operation, { headers: json, body: `{"name":"${'x'.repeat(17 << 20)}"}` }).catch((error) => error);
    // The answer may come while the body is still on its way, and then be lost with it.
    assert.ok(large.status === 413 || ['EPIPE', 'ECONNRESET'].includes(large.code), String(large));
  }
});

test('rubbish in the query: 400, and the parameter is named', async () => {
  for (const operation of operations()) {
    const headers = operation.requestBody ? json : {};
    const body = operation.requestBody ? JSON.stringify(harmless({ ...operation, method: 'post' }, { spec: {} })) : undefined;
    const bad = [['unheardOf=1', 'unheardOf'], ['%zz=1', ''], ['a=%ff', ''], ['spec.pool=x', 'spec.pool'], [`${'x'.repeat(4000)}=1`, 'xxx']];
    for (const { name, in: place, schema } of operation.parameters) {
      if (place !== 'query') continue;
      if (schema.type === 'boolean') bad.push([`${name}=perhaps`, name], [`${name}=`, name], [`${name}=true&${name}=true`, name]);
      if (schema.type === 'integer') {
        bad.push([`${name}=ten`, name], [`${name}=1.5`, name], [`${name}=-1`, name], [`${name}=99999999999999999999`, name], [`${name}=1&${name}=2`, name]);
      }
      if (schema.enum) bad.push([`${name}=Nonsense`, name]);
      if (schema.maxLength && !schema.enum) bad.push([`${name}=${'x'.repeat(schema.maxLength + 1)}`, name]);
    }
    for (const [query, name] of bad) {
      // Nothing of this may have an effect: what deletes or stops is asked of nobody.
      const id = operation.method === 'get' ? existing(operation) : 'nobody';
      const answer = await ask(operation, { id, query: `?${query}`, headers, body });
      assert.equal(answer.status, 400, `${operation.operationId} ?${query.slice(0, 100)}: ${answer.text}`);
      assert.ok(answer.json.error.message.includes(name), `?${query.slice(0, 100)}: says "${answer.json.error.message}"`);
    }
  }
});

test('rubbish in the path: 404 or 400', async () => {
  const names = ['nobody', '..', '.', '%2e%2e', '%2F', 'a%2Fb', '%00', '%ff', '%F0%9F%98%80', '%zz', 'A', '-', '*', '{uid}', 'x'.repeat(64), 'x'.repeat(8000), '%20', "'", '%22', ';', ':', '@'];
  for (const operation of operations().filter(({ path }) => path.includes('{'))) {
    const headers = operation.requestBody ? json : {};
    const body = operation.requestBody ? JSON.stringify(harmless({ ...operation, method: 'put' }, { spec: {} })) : undefined;
    for (const id of names) {
      const answer = await ask(operation, { id, headers, body });
      assert.ok([400, 404].includes(answer.status), `${operation.operationId} of ${id.slice(0, 100)}: ${answer.status} ${answer.text}`);
    }
  }
  for (const path of ['/', '//', '/api', '/api/v1', '/api/v1/', '/api/v2/servers', '/api/v1/servers/', '/api/v1/servers/a/b/c', '/api/v1/serverss', '/%2e%2e/etc/passwd']) {
    const answer = await send('GET', path);
    assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
    conforms(pointer('components', 'schemas', 'Error'), answer.json, path);
  }
});

test('methods that are not documented: 405, and Allow names those that are', async () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    const concrete = path.replace(/\{\w+\}/g, 'fixture');
    for (const method of ['get', 'post', 'put', 'delete', 'patch']) {
      if (method in methods) continue;
      const answer = await send(method.toUpperCase(), concrete, { headers: json, body: method === 'get' ? undefined : '{}' });
      assert.equal(answer.status, 405, `${method} ${path}: ${answer.text}`);
      const allow = answer.headers.allow.split(', ');
      assert.deepEqual(allow.filter((each) => !['HEAD', 'OPTIONS'].includes(each)).sort(), Object.keys(methods).map((each) => each.toUpperCase()).sort());
    }
  }
});

test('start and stop take no body, or an empty object', async () => {
  for (const operation of operations().filter(({ method, requestBody }) => method === 'post' && !requestBody)) {
    for (const body of [undefined, '', '{}']) {
      const answer = await ask(operation, { id: 'fixture', headers: body ? json : {}, body });
      assert.equal(answer.status, 200, answer.text);
    }
    assert.equal((await ask(operation, { id: 'fixture', headers: json, body: '{"a":1}' })).status, 400);
  }
});

test('after all of this it serves', async () => {
  assert.ok(!unmcp.exited);
  assert.equal((await unmcp.get('/ready')).status, 200);
  const { json: list } = await unmcp.get('/api/v1/servers');
  assert.deepEqual(list.items.map(({ name }) => name).filter((name) => !name.startsWith('generated-')), ['fixture']);
});
