import type { Decision } from '@spillway/core'
import { HEADER_NAME } from './headers.ts'
import { optionError } from './option-error.ts'
import type { LimiterKey } from './request-limiter.ts'

/** The body of a refusal: problem details (RFC 9457). */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: 429 | 503
  readonly detail: string
  /** Names of the limits that refused. */
  readonly 'violated-policies': readonly string[]
}

/** A request that was refused: what `onDenied` is told and `response` may replace. */
export interface Refusal {
  /** 429 where a limit refused; 503 where the store was away and `onOutage` says to deny. */
  readonly status: 429 | 503
  /** The key as the limiter took it. */
  readonly key: LimiterKey
  /** Whole seconds, rounded up, as in `Retry-After`; undefined where waiting does not help. */
  readonly retryAfter: number | undefined
  readonly decision: Decision
  readonly problem: Problem
}

/** An answer to send in place of the handler's. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Text, or an object sent as JSON; with HEAD it is not sent. */
  readonly body: string | object
}

const PROBLEM_TYPES = 'https://iana.org/assignments/http-problem-types'

export function refusalOf(key: LimiterKey, limiterName: string, decision: Decision): Refusal {
  const { retryAfterMs, reason, name = limiterName } = decision
  const retryAfter = retryAfterMs > 0 && retryAfterMs < Infinity ? Math.ceil(retryAfterMs / 1000) : undefined
  // What was not asked has not refused.
  const hasRefused = (part: { reason?: string | undefined }) =>
    part.reason !== undefined && (reason === 'outage' || part.reason !== 'outage')
  const refusing = decision.parts?.filter(hasRefused).map((part) => part.name) ?? []
  // A key on a `deny` list is refused by no limit: by the one that the decision names.
  const violated = refusing.length > 0 ? refusing : [name]
  const again = retryAfter === undefined ? '' : ` Try again in ${retryAfter} s.`
  const problem: Problem =
    reason === 'outage'
      ? {
          type: `${PROBLEM_TYPES}#temporary-reduced-capacity`,
          title: 'The rate limit cannot be checked at the moment',
          status: 503,
          detail: `The limit "${name}" could not be checked.${again}`,
          'violated-policies': violated,
        }
      : {
          type: `${PROBLEM_TYPES}#quota-exceeded`,
          title: 'Too many requests: the quota is exceeded',
          status: 429,
          detail: `${DETAILS[reason === 'cost' || reason === 'blocked' ? reason : 'limit'](name, decision.limit)}${again}`,
          'violated-policies': violated,
        }
  return { status: problem.status, key, retryAfter, decision, problem }
}

const DETAILS = {
  limit: (name: string, limit: number) => `The limit "${name}" of ${limit} is used up.`,
  cost: (name: string, limit: number) =>
    `This request costs more than the limit "${name}" of ${limit} ever allows.`,
  blocked: (name: string) => `Requests are blocked by the limit "${name}".`,
}

/** The answer to a refusal, unless `response` gives another. */
export function answerOf({ status, problem }: Refusal): Answer {
  return { status, headers: { 'Content-Type': 'application/problem+json' }, body: problem }
}

/**
 * The answer with what `response` gave in place of its parts. An own body does not go out as problem details.
 *
 * @throws ConfigError `ERR_OPTION` where it can't be written: here and not as it is, since what a framework has begun to
 * write it can't take back, and some fail past their error path
 */
export function replaced(standard: Answer, own: Partial<Answer>): Answer {
  if (typeof own !== 'object' || own === null) {
    throw optionError('response: the answer', own, 'give an object with status, headers or body')
  }
  const { status = standard.status } = own
  const body = own.body ?? standard.body
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw optionError("response: the answer's status", status, 'give an integer from 200 to 599')
  }
  const given: object = own.headers ?? {}
  if (typeof given !== 'object' || Symbol.iterator in given) {
    throw optionError('response: the headers', given, "give an object such as { 'X-Calm': 'yes' }")
  }
  const headers = Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (isLength(name) ? [] : [[name, writable(name, value)]])),
  )
  if (typeof textOf(body) !== 'string') {
    throw optionError("response: the answer's body", body, 'give text, or an object that JSON can hold')
  }
  const keepsType = body === standard.body && !hasType(headers)
  return { status, headers: keepsType ? { ...standard.headers, ...headers } : headers, body }
}

/**
 * A header's value as text, so that what was looked at is what is written. Several are one line, but for cookies, of which they
 * are a list: over HTTP/2 Node writes many a header on one line only.
 */
function writable(name: string, value: unknown): string {
  if (!HEADER_NAME.test(name))
    throw optionError('response: the name of a header', name, 'give letters and dashes')
  if (FRAMING.test(name)) {
    throw optionError(
      'response: the header',
      name,
      'leave it out: how a body is framed, and of the connection, the server says',
    )
  }
  const parts: unknown[] = Array.isArray(value) ? value : [value]
  const isNone = parts.some((part) => part === undefined || typeof part === 'symbol')
  const lines = isNone ? [] : parts.map(String)
  if (isNone || lines.some((line) => UNWRITABLE.test(line))) {
    throw optionError(`response: the header ${name}`, value, 'give text of one line, in Latin-1')
  }
  // The one value of it that Node does not leave out over HTTP/2, and then refuses.
  if (name.toLowerCase() === 'connection' && lines.join() === 'trailers')
    throw optionError('response: the header', name, 'leave it out, or give `close`')
  const isCookie = name.toLowerCase() === 'set-cookie'
  return isCookie && Array.isArray(value) ? (lines as unknown as string) : lines.join(', ')
}

/** The server counts its bytes itself; a wrong length would leave some for the next answer. */
const isLength = (name: string) => name.toLowerCase() === 'content-length'

/**
 * What Node refuses beside a length, or writes so that no client can read it; and what is of a connection, which it refuses over
 * HTTP/2, also when the error is to be answered. `Connection` itself it leaves out there, but for one value.
 */
const FRAMING = /^(transfer-encoding|trailer|te|upgrade|keep-alive|proxy-connection|http2-settings)$/i

/** What a header's value must not hold. */
const UNWRITABLE = /[^\t\x20-\x7e\x80-\xff]/

const hasType = (headers: object) =>
  Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')

const textOf = (body: string | object) => (typeof body === 'string' ? body : JSON.stringify(body))

/** An answer's body and headers as they go out. */
export function written({ headers, body }: Answer): { headers: Record<string, string>; body: string } {
  const type = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json'
  return {
    headers: hasType(headers) ? headers : { ...headers, 'Content-Type': type },
    body: textOf(body),
  }
}

/** Whether answers of this status may have a body at all. */
export function takesBody(status: number): boolean {
  return status !== 204 && status !== 205 && status !== 304
}
