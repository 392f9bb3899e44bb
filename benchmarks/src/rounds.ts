import { ContenderProcess } from './contender-process.ts'
import type { Case, Measures, Question } from './question.ts'

/** A contender's measures, a list entry for each round, or for each turn if contenders take turns. */
export type Rounds = Record<string, Measures[]>

/** Every other round runs backwards, so that no contender always follows the same one. */
export async function runRounds(
  question: Question,
  theCase: Case,
  rounds: number,
  share: number,
): Promise<Rounds> {
  const results: Rounds = Object.fromEntries(theCase.contenders.map(({ name }) => [name, []]))
  const round = theCase.turns === undefined ? oneByOne : inTurns
  for (let done = 0; done < rounds; done++) {
    const isBack = done % 2 !== 0
    const contenders = isBack ? theCase.contenders.toReversed() : theCase.contenders
    await round(question, { ...theCase, contenders }, share, (name, measures) =>
      results[name]!.push(measures),
    )
  }
  return results
}

type Round = (
  question: Question,
  theCase: Case,
  share: number,
  measured: (name: string, measures: Measures) => void,
) => Promise<void>

const oneByOne: Round = async (question, theCase, share, measured) => {
  for (const contender of theCase.contenders) {
    const process = await ContenderProcess.start(question, theCase, contender, share)
    try {
      measured(contender.name, await process.answer())
    } finally {
      await process.stop()
    }
  }
}

/** Contenders alternate: what else the machine does affects all alike. */
const inTurns: Round = async (question, theCase, share, measured) => {
  const processes: { name: string; process: ContenderProcess }[] = []
  try {
    for (const contender of theCase.contenders) {
      const process = await ContenderProcess.start(question, theCase, contender, share)
      processes.push({ name: contender.name, process })
      // It gets ready while no other process runs.
      await process.answer()
    }
    for (let turn = 0; turn < theCase.turns!; turn++) {
      for (const { name, process } of orderOf(processes, turn)) measured(name, await process.turn())
    }
    for (const { process } of processes) await process.end()
  } finally {
    for (const { process } of processes) await process.stop()
  }
}

/**
 * Every other turn runs backwards, and each begins with another contender: nobody always follows the same one, nor has
 * two turns in a row, the second of which would find its memory in the caches.
 */
function orderOf<T>(all: readonly T[], turn: number): readonly T[] {
  const from = turn % all.length
  const order = [...all.slice(from), ...all.slice(0, from)]
  return turn % 2 === 0 ? order : order.reverse()
}
