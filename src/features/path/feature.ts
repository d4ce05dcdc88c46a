/** `path`: the form in which a route takes paths, for applications whose paths are more than folders and files. */
import { shape } from '../../config/engine/kinds.ts'
import { type PathForm, strictForm } from '../../wire/path-form.ts'
import { feature } from '../feature.ts'

const pathShape = shape({
  name: 'path',
  docs:
    'The form of paths, which is both routed on and forwarded. [paths.md](paths.md) explains what each option risks, and which ' +
    'combinations are refused. What is not set here is as on the level above.',
  rows: {
    encodedSlash: {
      kind: { type: 'choice', of: ['reject', 'keep'] },
      defaultDocs: '`reject`',
      docs:
        '`keep`: `%2F` is a character like any other for routes, and is forwarded as it came. Only on sites whose routes all ask the same of ' +
        'clients. `reject` answers with a 400.',
      example: 'keep',
    },
    merge: {
      kind: { type: 'boolean' },
      defaultDocs: '`true`',
      docs: '`false` keeps repeated slashes: `/a//b`.',
      example: 'false',
    },
    normalize: {
      kind: { type: 'choice', of: ['strict', 'keep'] },
      defaultDocs: '`strict`',
      docs: '`keep` forwards dot segments and percent-encodings as they came. Not with `strip` and `rewrite`.',
      example: 'keep',
    },
    parameters: {
      kind: { type: 'choice', of: ['keep', 'strip'] },
      defaultDocs: '`keep`',
      docs:
        "`strip` drops path parameters (`/a;x=1/b` becomes `/a/b`) before routing. With `keep` they are part of their segment, which a servlet container doesn't " +
        'think: see [paths](paths.md#path-parameters).',
      example: 'strip',
    },
  },
})

export const path = feature({
  docs: 'The form of paths: encoded slashes, repeated slashes, dot segments and path parameters.',
  row: {
    kind: { type: 'object', shape: pathShape },
    docs: 'The form of paths: encoded slashes, repeated slashes, dot segments and path parameters. (Which paths a route takes is `match.path`.)',
    example: '{ encodedSlash: keep, merge: false }',
  },
  inherits: 'adds',
  compile: () => ({}),
  pathForm(values) {
    let form: PathForm = strictForm
    for (const { encodedSlash, merge, normalize, parameters } of values)
      form = {
        encodedSlash: encodedSlash ? encodedSlash === 'keep' : form.encodedSlash,
        merge: merge ?? form.merge,
        decode: normalize ? normalize === 'strict' : form.decode,
        dots: normalize ? normalize === 'strict' : form.dots,
        stripParameters: parameters ? parameters === 'strip' : form.stripParameters,
      }
    return form
  },
  explain({ encodedSlash, merge, normalize, parameters }) {
    const parts = [
      encodedSlash && `encoded slashes: ${encodedSlash}`,
      typeof merge === 'boolean' && `repeated slashes: ${merge ? 'merged' : 'kept'}`,
      normalize && `dot segments and percent-encodings: ${normalize}`,
      parameters && `parameters: ${parameters}`,
    ]
    return parts.filter(part => part).join(', ')
  },
})
