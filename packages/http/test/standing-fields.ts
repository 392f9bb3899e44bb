import { parseList } from 'structured-headers'

/** A list of strings with integer parameters, as an independent parser of structured fields reads it. */
export function listOf(response: Response, header: string): Record<string, Record<string, number>> {
  const value = response.headers.get(header)
  if (value === null) throw new Error(`there is no ${header}`)
  const members = parseList(value).map(([item, parameters]) => {
    if (typeof item !== 'string') throw new Error(`${header}: ${value}: a member is no string`)
    const numbers = [...parameters].map(([name, number]) => {
      if (!Number.isInteger(number)) throw new Error(`${header}: ${value}: ${name} is no integer`)
      return [name, number as number] as const
    })
    return [item, Object.fromEntries(numbers)] as const
  })
  const list = Object.fromEntries(members)
  if (Object.keys(list).length !== members.length) throw new Error(`${header}: ${value}: repeats a member`)
  return list
}
