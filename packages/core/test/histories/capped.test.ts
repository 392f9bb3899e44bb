import { prove } from './prove.ts'

prove('capped')
