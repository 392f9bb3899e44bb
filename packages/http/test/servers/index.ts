import { serveConnect, serveExpress4, serveExpress5 } from './express.ts'
import { serveFastify } from './fastify.ts'
import { serveFetch } from './fetch.ts'
import { serveHono } from './hono.ts'
import { serveKoa } from './koa.ts'
import { serveNestOnExpress, serveNestOnFastify } from './nest.ts'
import { serveNode } from './node.ts'
import type { Serve } from './served.ts'

export const SERVERS: Record<string, Serve> = {
  node: serveNode,
  'express 5': serveExpress5,
  'express 4': serveExpress4,
  connect: serveConnect,
  fastify: serveFastify,
  koa: serveKoa,
  hono: serveHono,
  fetch: serveFetch,
  'nest on express': serveNestOnExpress,
  'nest on fastify': serveNestOnFastify,
}
