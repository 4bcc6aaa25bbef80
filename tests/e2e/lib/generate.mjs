// Values from JSON Schemas: valid ones, and ones that are wrong in one way.
// Everything follows from a seed, so that a failure can be had again.

// mulberry32: small, and good enough to vary test data.
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    below: (n) => Math.floor(next() * n),
    pick: (list) => list[Math.floor(next() * list.length)],
    chance: (p) => next() < p,
  };
}

// Strings that the schema's patterns are tried on: some keep each, some break each.
const kStrings = [
  'default', 'a', 'x-1', 'A_B', '_x.y-z', 'X-Header', 'value', '500m', '256Mi', '1', 'metadata.name',
  '2025-01-31T12:00:00Z',
  'http://127.0.0.1:9/mcp', '/mcp', 'tools.example', 'ä€😀', 'two words', 'quote"\\back', 'tab\there',
];
const kNonsense = ['', ' ', 'nonsense!', 'A B', '-', '\n', 'x\r\ny', '../..', '😀', '\u0000', '1.2.3.'];

export class Schemas {
  constructor(document, rng) {
    this.document = document;
    this.rng = rng;
  }

  resolve(schema) {
    while (schema.$ref) {
      const { $ref, ...beside } = schema;
      schema = { ...$ref.slice(2).split('/').reduce((node, key) => node[key], this.document), ...beside };
    }
    return schema;
  }

  // A value that the schema allows. Read-only parts are left out.
  valid(schema, depth = 0) {
    const { rng } = this;
    schema = this.resolve(schema);
    if (schema.oneOf) return this.valid(rng.pick(schema.oneOf), depth);
    if (schema.enum) return rng.pick(schema.enum);
    switch (schema.type) {
      case 'boolean':
        return rng.chance(0.5);
      case 'integer':
      case 'number': {
        const low = schema.minimum ?? -1000;
        const high = schema.maximum ?? 1000;
        return rng.pick([low, high, low + rng.below(high - low + 1)]);
      }
      case 'string':
        return this.string(schema);
      case 'array': {
        const length = rng.below(Math.min(schema.maxItems ?? 3, 3) + 1);
        const items = Array.from({ length }, () => this.valid(schema.items, depth + 1));
        // Lists of named things hold each name once.
        return items.filter((item, i) => item?.name === undefined || items.findIndex(({ name }) => name === item.name) === i);
      }
      case 'object': {
        if (schema.additionalProperties) return { key: this.valid(schema.additionalProperties, depth + 1) };
        if (!schema.properties) return depth > 8 ? {} : rng.pick([{}, { metadata: { labels: { team: 'a' } } }, { spec: {} }]);
        const object = {};
        for (const [name, property] of Object.entries(schema.properties)) {
          if (this.resolve(property).readOnly) continue;
          if (schema.required?.includes(name) || rng.chance(depth > 3 ? 0.2 : 0.4)) object[name] = this.valid(property, depth + 1);
        }
        return object;
      }
    }
    throw new Error(`a schema of no type: ${JSON.stringify(schema)}`);
  }

  string(schema) {
    const fits = kStrings.filter((text) => this.keeps(schema, text));
    if (!fits.length) throw new Error(`no string for ${JSON.stringify(schema)}`);
    return this.rng.pick(fits);
  }

  keeps(schema, text) {
    const length = [...text].length;
    return (
      length <= (schema.maxLength ?? Infinity) && length >= (schema.minLength ?? 0) &&
      (!schema.pattern || new RegExp(schema.pattern, 'u').test(text)) && (!schema.enum || schema.enum.includes(text)) &&
      (schema.format !== 'date-time' || /^\d{4}-\d\d-\d\dT/.test(text))
    );
  }

  // [{value, why}]: values that are not of the schema, each wrong in one way.
  wrong(schema) {
    schema = this.resolve(schema);
    const ofType = (...values) => values.map((value) => ({ value, why: `the type of ${JSON.stringify(value)}` }));
    if (schema.oneOf) return ofType(true, [], {}).concat([{ value: 'nonsense!', why: 'the pattern' }, { value: -1, why: 'the sign' }]);
    switch (schema.type) {
      case 'boolean':
        return ofType('true', 1, [], {});
      case 'integer':
      case 'number': {
        const out = ofType('1', true, [], {}, 1.5);
        if ('minimum' in schema) out.push({ value: schema.minimum - 1, why: 'under the minimum' });
        if ('maximum' in schema) out.push({ value: schema.maximum + 1, why: 'over the maximum' });
        out.push({ value: 2 ** 70, why: 'out of all range' });
        return out;
      }
      case 'string': {
        const out = ofType(7, true, [], {});
        if (schema.maxLength && !schema.enum) out.push({ value: 'a'.repeat(schema.maxLength + 1), why: 'too long' });
        if (schema.enum) out.push({ value: 'nonsense', why: 'none of the words' });
        if (schema.pattern && !schema.enum) {
          for (const value of kNonsense) if (!this.keeps({ pattern: schema.pattern }, value)) out.push({ value, why: `the pattern, with ${JSON.stringify(value)}` });
        }
        if (schema.format === 'date-time') out.push({ value: 'yesterday', why: 'no time' });
        return out;
      }
      case 'array': {
        const out = ofType('a', 1, {}, true);
        // null has no place in a list.
        out.push({ value: [null], why: 'null as an element' });
        if (schema.maxItems && schema.maxItems <= 1000 && this.resolve(schema.items).type === 'string') {
          out.push({ value: Array(schema.maxItems + 1).fill('a'), why: 'too many' });
        }
        return out;
      }
      case 'object':
        return ofType('a', 1, [], true);
    }
    return [];
  }

  // Calls visit(path, schema, readOnly) on every property under an object
  // schema; `path` is a list of names, with 0 for the element of a list.
  walk(schema, visit, path = [], readOnly = false) {
    schema = this.resolve(schema);
    if (schema.type === 'array') return this.walk(schema.items, visit, [...path, 0], readOnly);
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const resolved = this.resolve(property);
      const ro = readOnly || resolved.readOnly === true;
      visit([...path, name], property, ro);
      this.walk(property, visit, [...path, name], ro);
    }
  }

  // The smallest value in which `path` of an object schema can be set to
  // `value`: what is required on the way is there.
  around(schema, path, value) {
    schema = this.resolve(schema);
    if (path.length === 0) return value;
    const [first, ...rest] = path;
    if (first === 0) return [this.around(schema.items, rest, value)];
    const object = {};
    for (const name of schema.required ?? []) {
      if (name !== first) object[name] = this.valid(schema.properties[name]);
    }
    object[first] = this.around(schema.properties[first], rest, value);
    return object;
  }
}
