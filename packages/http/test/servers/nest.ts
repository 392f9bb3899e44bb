import 'reflect-metadata'
import {
  All,
  type ArgumentsHost,
  Catch,
  Controller,
  HttpException,
  type INestApplication,
  Module,
} from '@nestjs/common'
import { APP_GUARD, BaseExceptionFilter, HttpAdapterHost, NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import {
  RateLimitException,
  RateLimitFilter,
  RateLimitGuard,
  RateLimitModule,
  rateLimit,
} from '@spillway/http/nest'
import { type Around, CAUGHT, Handled, listening, type Serve } from './served.ts'

@Catch()
class ErrorPath extends BaseExceptionFilter {
  private readonly refusals = new RateLimitFilter()

  override catch(error: unknown, host: ArgumentsHost): void {
    if (error instanceof RateLimitException) this.refusals.catch(error, host)
    else if (error instanceof HttpException) super.catch(error, host)
    else super.catch(new HttpException(`${CAUGHT}${(error as Error).message}`, 500), host)
  }
}

function appOf(options: Parameters<Serve>[0], handled: Handled, { after }: Around) {
  @Controller()
  class Greeter {
    @All()
    greet() {
      after?.()
      return handled.greet()
    }
  }

  @Module({
    imports: [RateLimitModule.forRoot(options)],
    providers: [{ provide: APP_GUARD, useClass: RateLimitGuard }],
    controllers: [Greeter],
  })
  class App {}
  return App
}

async function serve(
  create: (app: object) => Promise<INestApplication>,
  ...[options, around = {}]: Parameters<Serve>
) {
  const handled = new Handled()
  const app = await create(appOf(options, handled, around))
  app.useGlobalFilters(new ErrorPath(app.get(HttpAdapterHost).httpAdapter))
  app.use((_: unknown, response: Parameters<NonNullable<Around['before']>>[0], next: () => void) => {
    around.before?.(response)
    next()
  })
  for (const each of around.further ?? []) app.useGlobalGuards(rateLimit(each))
  await app.listen(0, '127.0.0.1')
  const served = await listening(app.getHttpServer(), handled)
  return {
    ...served,
    async close() {
      served.server.closeAllConnections()
      await app.close()
    },
  }
}

export const serveNestOnExpress: Serve = (...served) =>
  serve((app) => NestFactory.create(app as never, new ExpressAdapter(), { logger: false }), ...served)

export const serveNestOnFastify: Serve = (...served) =>
  serve((app) => NestFactory.create(app as never, new FastifyAdapter(), { logger: false }), ...served)
