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
  /** The names of the limits that refused. */
  readonly 'violated-policies': readonly string[]
}

/** A refused request: passed to `onDenied` and to `response`, which may replace the answer. */
export interface Refusal {
  /** 429 if a limit refused; 503 if the store was away and `onOutage` is `'deny'`. */
  readonly status: 429 | 503
  /** The key as passed to the limiter. */
  readonly key: LimiterKey
  /** Whole seconds, rounded up, as in `Retry-After`; undefined if waiting does not help. */
  readonly retryAfter: number | undefined
  readonly decision: Decision
  readonly problem: Problem
}

/** An answer to send in place of the handler's. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Text, or an object sent as JSON. Not sent in answer to HEAD. */
  readonly body: string | object
}

const PROBLEM_TYPES = 'https://iana.org/assignments/http-problem-types'

export function refusalOf(key: LimiterKey, limiterName: string, decision: Decision): Refusal {
  const { retryAfterMs, reason, name = limiterName } = decision
  const retryAfter = retryAfterMs > 0 && retryAfterMs < Infinity ? Math.ceil(retryAfterMs / 1000) : undefined
  // A part with the reason `'outage'` under another overall reason was not asked, so it has not refused.
  const hasRefused = (part: { reason?: string | undefined }) =>
    part.reason !== undefined && (reason === 'outage' || part.reason !== 'outage')
  const refusing = decision.parts?.filter(hasRefused).map((part) => part.name) ?? []
  // No limit refuses a key on a `deny` list: the one that the decision names stands in.
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

/** The standard answer to a refusal, which `response` may replace. */
export function answerOf({ status, problem }: Refusal): Answer {
  return { status, headers: { 'Content-Type': 'application/problem+json' }, body: problem }
}

/**
 * The standard answer with the parts that `response` replaced. A body of its own is not sent as problem details.
 *
 * @throws ConfigError `ERR_OPTION` if it can't be written. Checked here, before writing: a framework can't take back
 * what it has begun to write, and some then fail outside their error path
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
 * A header's value as text, so that exactly what was checked is written. Several values become one line, since over
 * HTTP/2 Node writes many headers on one line only; cookies stay a list.
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
  // Over HTTP/2 Node drops `Connection`, but refuses this one value of it.
  if (name.toLowerCase() === 'connection' && lines.join() === 'trailers')
    throw optionError('response: the header', name, 'leave it out, or give `close`')
  const isCookie = name.toLowerCase() === 'set-cookie'
  return isCookie && Array.isArray(value) ? (lines as unknown as string) : lines.join(', ')
}

/** Left out, since the server counts the bytes itself: a wrong length would leave bytes for the next answer. */
const isLength = (name: string) => name.toLowerCase() === 'content-length'

/**
 * Headers, besides the length, that an answer must not set. Node refuses some, or writes them so that no client can
 * read them. Connection-specific ones it refuses over HTTP/2, even while answering that error. `Connection` is not
 * listed: there Node drops it, but for one value.
 */
const FRAMING = /^(transfer-encoding|trailer|te|upgrade|keep-alive|proxy-connection|http2-settings)$/i

/** Characters that a header's value must not contain. */
const UNWRITABLE = /[^\t\x20-\x7e\x80-\xff]/

const hasType = (headers: object) =>
  Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')

const textOf = (body: string | object) => (typeof body === 'string' ? body : JSON.stringify(body))

/** An answer's headers and body as they are sent. */
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
