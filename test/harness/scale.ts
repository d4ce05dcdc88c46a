/**
 * How much of a thing a test does. `npm test` proves the same with less than `npm run test:long`, which runs the files
 * that import this one again, with all of it.
 */
export const isLong = process.env['SALLYPORT_TEST_LONG'] === '1'

export const sized = (usually: number, long: number): number => (isLong ? long : usually)
