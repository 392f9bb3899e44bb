import { prove } from './prove.ts'

prove('soft')
