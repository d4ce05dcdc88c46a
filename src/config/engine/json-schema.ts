/** The JSON Schema (2020-12) of a configuration, from the rows: for editors, and `sallyport schema`. */
import { durationPattern, percentPattern, ratePattern, sizePattern } from '../../base/units.ts'
import type { Kind, Row, Shape, Words } from './kinds.ts'

type JsonSchema = { readonly [key: string]: unknown }

/** Where a value is not a string, a string that holds a variable may stand for it. */
const variable: JsonSchema = { type: 'string', pattern: '^[^$]*\\$\\{' }

export function jsonSchema(of: Shape): JsonSchema {
  const definitions: Record<string, JsonSchema> = {}
  const top = ofShape(of, definitions)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Sallyport configuration',
    ...top,
    $defs: definitions,
  }
}

function ofShape(shape: Shape, definitions: Record<string, JsonSchema>): JsonSchema {
  const properties: Record<string, JsonSchema> = {}
  const required: string[] = []
  for (const [key, row] of Object.entries(shape.rows)) {
    // Filters are code: in YAML and JSON the key does not exist.
    if (row.kind.type === 'list' && row.kind.of.type === 'filter') continue
    properties[key] = ofRow(row, definitions)
    if (row.required) required.push(key)
  }
  const schema = { type: 'object', description: shape.docs, properties, additionalProperties: false }
  return required.length > 0 ? { ...schema, required } : schema
}

function ofRow(row: Row, definitions: Record<string, JsonSchema>): JsonSchema {
  const schema: Record<string, unknown> = { ...ofKind(row.kind, definitions), description: row.docs }
  if (row.default !== undefined && typeof row.default !== 'object') schema['default'] = row.default
  return schema
}

function ofKind(kind: Kind, definitions: Record<string, JsonSchema>): JsonSchema {
  switch (kind.type) {
    case 'string':
    case 'file':
    case 'folder':
      return { type: 'string', minLength: kind.type === 'string' ? 0 : 1 }
    case 'boolean':
      return { anyOf: [{ type: 'boolean' }, variable] }
    case 'integer':
      return { anyOf: [{ type: 'integer', minimum: kind.min, maximum: kind.max }, ...words(kind.words), variable] }
    case 'duration':
      return { anyOf: [{ type: 'string', pattern: `^${durationPattern}$` }, ...words(kind.words), variable] }
    case 'size': {
      const bytes = { type: 'integer', minimum: kind.min, maximum: kind.max }
      return { anyOf: [{ type: 'string', pattern: `^${sizePattern}$` }, bytes, ...words(kind.words), variable] }
    }
    case 'percent':
      return { anyOf: [{ type: 'string', pattern: `^${percentPattern}$` }, ...words(kind.words), variable] }
    case 'rate':
      return { anyOf: [{ type: 'string', pattern: `^${ratePattern}$` }, ...words(kind.words), variable] }
    case 'choice':
      return { anyOf: [{ enum: kind.of }, variable] }
    case 'list': {
      const list = { type: 'array', items: ofKind(kind.of, definitions), ...(kind.empty ? {} : { minItems: 1 }) }
      return kind.single ? { anyOf: [ofKind(kind.of, definitions), list] } : list
    }
    case 'object': {
      const name = definitionOf(kind.shape.name)
      if (!Object.hasOwn(definitions, name)) {
        // First the name: a shape may hold itself.
        definitions[name] = {}
        definitions[name] = ofShape(kind.shape, definitions)
      }
      return { $ref: `#/$defs/${name}` }
    }
    case 'nested':
      return { $ref: `#/$defs/${definitionOf(kind.shape)}` }
    case 'map':
      return { type: 'object', additionalProperties: ofKind(kind.of, definitions) }
    case 'either': {
      const kinds = [kind.text, kind.list, kind.map].filter(one => one !== undefined)
      return { anyOf: kinds.map(one => ofKind(one, definitions)) }
    }
    case 'any':
      return { type: 'object' }
    case 'filter':
      return {}
  }
}

const definitionOf = (shape: string): string => shape.replaceAll(' ', '-')

function words(known: Words | undefined): JsonSchema[] {
  return known ? [{ enum: Object.keys(known) }] : []
}
