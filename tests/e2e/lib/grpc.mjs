// gRPC clients of unmcp, made from its .proto files.
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { root } from './unmcp.mjs';

export { grpc };

const message = (fields) => ({
  fields: Object.fromEntries(Object.entries(fields).map(([name, [id, type, rule]]) => [name, { id, type, ...(rule && { rule }) }])),
});
const method = (requestType, responseType, streams = {}) => ({ requestType, responseType, ...streams });

// The two standard services, as far as they are asked here.
const standard = protoLoader.fromJSON({ nested: { grpc: { nested: {
  reflection: { nested: { v1alpha: { nested: {
    ServerReflectionRequest: {
      ...message({ fileContainingSymbol: [4, 'string'], listServices: [7, 'string'] }),
      oneofs: { messageRequest: { oneof: ['fileContainingSymbol', 'listServices'] } },
    },
    ServerReflectionResponse: message({
      fileDescriptorResponse: [4, 'FileDescriptorResponse'],
      listServicesResponse: [6, 'ListServiceResponse'],
      errorResponse: [7, 'ErrorResponse'],
    }),
    FileDescriptorResponse: message({ fileDescriptorProto: [1, 'bytes', 'repeated'] }),
    ListServiceResponse: message({ service: [1, 'ServiceResponse', 'repeated'] }),
    ServiceResponse: message({ name: [1, 'string'] }),
    ErrorResponse: message({ errorCode: [1, 'int32'], errorMessage: [2, 'string'] }),
    ServerReflection: {
      methods: {
        ServerReflectionInfo: method('ServerReflectionRequest', 'ServerReflectionResponse', { requestStream: true, responseStream: true }),
      },
    },
  } } } },
  health: { nested: { v1: { nested: {
    HealthCheckRequest: message({ service: [1, 'string'] }),
    ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } },
    HealthCheckResponse: message({ status: [1, 'ServingStatus'] }),
    Health: {
      methods: {
        Check: method('HealthCheckRequest', 'HealthCheckResponse'),
        Watch: method('HealthCheckRequest', 'HealthCheckResponse', { responseStream: true }),
      },
    },
  } } } },
} } } }, { defaults: true, enums: String });

const files = ['server', 'pool', 'metrics', 'manifest', 'session'].map((name) => `unmcp/v1/${name}_service.proto`);
const own = protoLoader.loadSync(files, {
  // google/api is where the REST annotations come from.
  includeDirs: [join(root, 'proto'), dirname(createRequire(import.meta.url).resolve('protobufjs/package.json'))],
  defaults: true,
  longs: Number,
});

// Service.Method of all that unmcp has.
export const methods = Object.entries(own)
  .filter(([name]) => name.endsWith('Service'))
  .flatMap(([name, service]) => Object.keys(service).map((method) => `${name.replace('unmcp.v1.', '')}.${method}`));

const packages = { ...grpc.loadPackageDefinition(standard), ...grpc.loadPackageDefinition(own) };

// Calls of one server: `api.call('ServerService', 'GetServer', {uid})`. A
// service is named by its full name, or by what it is called in unmcp.v1.
export class GrpcApi {
  #clients = new Map();
  called = new Set(); // Service.Method

  constructor(t, address) {
    this.address = address;
    t.after(() => [...this.#clients.values()].forEach((client) => client.close()));
  }

  #client(service) {
    const path = service.includes('.') ? service : `unmcp.v1.${service}`;
    const Client = path.split('.').reduce((scope, part) => scope[part], packages);
    if (!this.#clients.has(Client)) this.#clients.set(Client, new Client(this.address, grpc.credentials.createInsecure()));
    return this.#clients.get(Client);
  }

  // A unary call; rejects with grpc-js's error ({code, details}).
  call(service, method, request = {}) {
    this.called.add(`${service}.${method}`);
    const client = this.#client(service);
    return new Promise((resolve, reject) => {
      client[method](request, { deadline: Date.now() + 15_000 }, (error, response) => (error ? reject(error) : resolve(response)));
    });
  }

  // A streaming call, cancelled with the test: `received`, and `status` when it
  // has ended. Without a request, the client streams too.
  stream(t, service, method, request) {
    this.called.add(`${service}.${method}`);
    const client = this.#client(service);
    const call = request === undefined ? client[method]() : client[method](request);
    t.after(() => call.cancel());
    call.received = [];
    call.on('data', (response) => call.received.push(response));
    call.on('error', () => {}); // it is in the status
    call.on('status', (status) => (call.status = status));
    return call;
  }

  // One question to reflection.
  reflect(question) {
    return new Promise((resolve, reject) => {
      const stream = this.#client('grpc.reflection.v1alpha.ServerReflection').ServerReflectionInfo();
      stream.on('data', (answer) => {
        resolve(answer);
        stream.end();
      });
      stream.on('error', reject);
      stream.write(question);
    });
  }
}
