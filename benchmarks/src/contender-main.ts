import { questions } from './questions.ts'

// The process of one contender: `contender-main.ts QUESTION CASE CONTENDER REDIS SHARE`, answers over IPC.

const [questionName, caseName, contenderName, redisUrl, share] = process.argv.slice(2)
const question = questions.find(({ name }) => name === questionName)
const theCase = question?.cases.find(({ name }) => name === caseName)
const contender = theCase?.contenders.find(({ name }) => name === contenderName)
if (contender === undefined) throw new Error(`there is no ${questionName}, ${caseName}, ${contenderName}`)
const measures = await contender.run({ redisUrl: redisUrl!, share: Number(share) })
const answer = () => process.exit(0)
if (process.send) process.send(measures, answer)
else {
  console.log(measures)
  answer()
}
