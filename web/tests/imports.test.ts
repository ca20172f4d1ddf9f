/** The import graph of the sources: no circles, and the layers import only downward. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const SRC = new URL('../src/', import.meta.url).pathname

/** The files and what each imports, including types and dynamic imports, as paths below `src`. */
const graph = new Map(
  readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => [
      file,
      ts
        .preProcessFile(readFileSync(join(SRC, file), 'utf8'))
        .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
        .map(({ fileName }) => join(dirname(file), fileName)),
    ]),
)

/** Returns a circle that can be reached in `edges`, or null. */
function circleIn(edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>()
  const visit = (node: string, path: readonly string[]): string[] | null => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (done.has(node)) return null
    for (const next of edges.get(node) ?? []) {
      const circle = visit(next, [...path, node])
      if (circle) return circle
    }
    done.add(node)
    return null
  }
  for (const node of edges.keys()) {
    const circle = visit(node, [])
    if (circle) return circle
  }
  return null
}

describe('imports', () => {
  it('form no circle among files', () => {
    expect(graph.size).toBeGreaterThan(50)
    expect(circleIn(graph)).toBe(null)
  })

  it('form no circle among the areas of the elements', () => {
    const areaOf = (file: string) => /^elements\/([^/]+)\//.exec(file)?.[1]
    const areas = new Map<string, string[]>()
    for (const [file, imports] of graph) {
      const area = areaOf(file)
      if (!area) continue
      const others = imports.map(areaOf).filter(other => other !== undefined && other !== area)
      areas.set(area, [...(areas.get(area) ?? []), ...(others as string[])])
    }
    expect(areas.size).toBeGreaterThan(5)
    expect(areas.get('shared')).toEqual([])
    expect(circleIn(areas)).toBe(null)
  })

  it('of the client lead to no element', () => {
    const client = [...graph].filter(([file]) => file.startsWith('client/'))
    expect(client.flatMap(([, imports]) => imports).filter(path => !path.startsWith('client/'))).toEqual([])
  })
})
