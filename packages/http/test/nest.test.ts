import 'reflect-metadata'
import { Controller, type ExecutionContext, Get, Inject, Module, type Type, UseGuards } from '@nestjs/common'
import { APP_GUARD, NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { createLimiter, fixedWindow, type HardLimiter } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { byRoute, globally } from '@spillway/http'
import { RateLimit, RateLimitGuard, RateLimitModule, rateLimit } from '@spillway/http/nest'
import { describe, expect, onTestFinished, test } from 'vitest'

function limiterOf(limit: number, name = 'api', mode: 'hard' | 'soft' = 'hard') {
  return createLimiter({ name, mode, clock: new ManualClock(0), limit: fixedWindow({ limit, window: '1h' }) })
}

@Controller()
class Reports {
  @Get('plain')
  plain() {
    return 'plain'
  }

  @Get('costly/:id')
  @RateLimit({ cost: 4 })
  costly() {
    return 'costly'
  }

  @Get('health')
  @RateLimit(false)
  health() {
    return 'up'
  }
}

const PLATFORMS = { express: () => new ExpressAdapter(), fastify: () => new FastifyAdapter() }

describe.each(Object.entries(PLATFORMS))('on %s', (_, platform) => {
  async function serve(app: Type) {
    const running = await NestFactory.create(app, platform() as ExpressAdapter, { logger: false })
    onTestFinished(() => running.close())
    await running.listen(0, '127.0.0.1')
    const url = await running.getUrl()
    return (path: string) => fetch(url + path, { headers: { connection: 'close' } })
  }

  const tell = async (response: Promise<Response>) => {
    const { status, headers } = await response
    return [status, headers.get('ratelimit')?.split(';t')[0]]
  }

  test('the module holds the options, decorators change them', async () => {
    @Module({
      imports: [RateLimitModule.forRoot({ limiter: limiterOf(6), key: globally() })],
      providers: [{ provide: APP_GUARD, useClass: RateLimitGuard }],
      controllers: [Reports],
    })
    class App {}
    const get = await serve(App)
    expect(await tell(get('/plain'))).toEqual([200, '"api";r=5'])
    expect(await tell(get('/costly/1'))).toEqual([200, '"api";r=1'])
    expect(await tell(get('/costly/2'))).toEqual([429, '"api";r=1'])
    expect(await tell(get('/health'))).toEqual([200, undefined])
  })

  test('options of a route go before those of its controller, and these before the module’s', async () => {
    @Controller()
    @RateLimit({ limiter: limiterOf(5, 'logins') })
    class Logins {
      @Get('login')
      @RateLimit({ cost: 4 })
      login() {
        return 'in'
      }

      @Get('logout')
      logout() {
        return 'out'
      }
    }
    @Controller()
    @RateLimit(false)
    class Public {
      @Get('search')
      @RateLimit({ cost: 2 })
      search() {
        return 'found'
      }

      @Get('home')
      home() {
        return 'home'
      }
    }
    @Module({
      imports: [RateLimitModule.forRoot({ limiter: limiterOf(9), key: globally() })],
      providers: [{ provide: APP_GUARD, useClass: RateLimitGuard }],
      controllers: [Logins, Public],
    })
    class App {}
    const get = await serve(App)
    expect(await tell(get('/login'))).toEqual([200, '"logins";r=1'])
    expect(await tell(get('/logout'))).toEqual([200, '"logins";r=0'])
    expect(await tell(get('/login'))).toEqual([429, '"logins";r=0'])
    expect(await tell(get('/home'))).toEqual([200, undefined])
    expect(await tell(get('/search'))).toEqual([200, '"api";r=7'])
  })

  test('a refusal is problem details without any filter of the application', async () => {
    @Module({
      imports: [RateLimitModule.forRoot({ limiter: limiterOf(1), cost: 2 })],
      providers: [{ provide: APP_GUARD, useClass: RateLimitGuard }],
      controllers: [Reports],
    })
    class App {}
    const response = await (await serve(App))('/plain')
    expect(response.status).toBe(429)
    expect(response.headers.get('content-type')).toMatch('application/problem+json')
    expect(await response.json()).toMatchObject({ status: 429, 'violated-policies': ['api'] })
  })

  test('the options come from other providers, as a factory or a class makes them', async () => {
    const LIMITER = Symbol('limiter')
    @Module({
      providers: [{ provide: LIMITER, useFactory: () => limiterOf(3, 'injected') }],
      exports: [LIMITER],
    })
    class Limits {}

    class Options {
      @Inject(LIMITER) readonly limiter!: HardLimiter

      create() {
        return { limiter: this.limiter }
      }
    }

    for (const how of [
      { inject: [LIMITER], useFactory: async (limiter: HardLimiter) => ({ limiter }) },
      { useClass: Options },
    ]) {
      @Controller()
      @UseGuards(RateLimitGuard)
      class Guarded {
        @Get()
        hello() {
          return 'hello'
        }
      }
      @Module({
        imports: [RateLimitModule.forRootAsync({ imports: [Limits], ...how })],
        controllers: [Guarded],
      })
      class App {}
      expect(await tell((await serve(App))('/'))).toEqual([200, '"injected";r=2'])
    }
  })

  test('a guard without the module limits one controller, by its routes', async () => {
    const limiter = limiterOf(1)
    @Controller('users')
    @UseGuards(rateLimit({ limiter, key: byRoute() }))
    class Users {
      @Get(':id')
      user() {
        return 'user'
      }

      @Get(':id/posts')
      posts() {
        return 'posts'
      }
    }
    @Module({ controllers: [Users, Reports] })
    class App {}
    const get = await serve(App)
    expect(await tell(get('/users/1'))).toEqual([200, '"api";r=0'])
    expect(await tell(get('/users/2'))).toEqual([429, '"api";r=0'])
    expect(await tell(get('/users/2/posts'))).toEqual([200, '"api";r=0'])
    expect(await tell(get('/plain'))).toEqual([200, undefined])
  })

  test('the guard answers without a promise in soft mode', async () => {
    const answers: unknown[] = []
    class Watched extends RateLimitGuard {
      override canActivate(context: ExecutionContext) {
        const answer = super.canActivate(context)
        answers.push(answer)
        return answer
      }
    }
    @Controller()
    @UseGuards(new Watched({ limiter: limiterOf(5, 'api', 'soft') }))
    class Hello {
      @Get()
      hello() {
        return 'hello'
      }
    }
    @Module({ controllers: [Hello] })
    class App {}
    await (await serve(App))('/')
    expect(answers).toEqual([true])
  })
})

test('transports other than HTTP pass', () => {
  const guard = rateLimit({ limiter: limiterOf(1), cost: 2 })
  const context = { getType: () => 'rpc' } as unknown as ExecutionContext
  expect(guard.canActivate(context)).toBe(true)
})
