import { prove } from './prove.ts'

prove('counts')
