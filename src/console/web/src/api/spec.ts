/** What this server offers: read from its own description, so that the console fits servers older and newer than itself. */
import { signal } from '@preact/signals';

export interface Param {
  name: string;
  required: boolean;
  doc: string;
  zh: string;
  type: string;
  values: string[];
  format: string;
  example: string;
  preset: string;
}

export interface Action {
  name: string;
  tag: string;
  tagZh: string;
  doc: string;
  zh: string;
  operator: boolean;
  params: Param[];
}

export const actions = signal<Map<string, Action>>(new Map());

/** Whether the server has an action. While its description is not read yet, it is presumed to. */
export const has = (name: string): boolean => actions.value.size === 0 || actions.value.has(name);

interface Schema { type?: string; enum?: unknown[]; format?: string; examples?: unknown[]; default?: unknown }
interface Parameter { $ref?: string; name: string; in: string; required?: boolean; description?: string; schema?: Schema }
interface Operation { operationId: string; tags?: string[]; description?: string; 'x-operator-only'?: boolean; parameters?: Parameter[] }

/** Descriptions hold English, an empty line, Chinese. */
function both(text = ''): { doc: string; zh: string } {
  const [doc, zh] = text.split('\n\n');
  return { doc, zh: zh ?? doc };
}

function param({ name, required, description, schema = {} }: Parameter): Param {
  const text = (value: unknown) => (value === undefined || value === null ? '' : String(value));
  return {
    name,
    required: required === true,
    ...both(description),
    type: schema.type ?? 'string',
    values: (schema.enum ?? []).map(String),
    format: schema.format ?? '',
    example: text(schema.examples?.[0]),
    preset: text(schema.default),
  };
}

export async function readSpec(): Promise<void> {
  const answer = await fetch('/openapi.json', { credentials: 'omit' });
  if (!answer.ok) return;
  const document = (await answer.json()) as { paths: Record<string, { get?: Operation }>; tags?: { name: string; description?: string }[] };
  const chinese = new Map(document.tags?.map((tag) => [tag.name, tag.description]));
  const found = new Map<string, Action>();
  for (const { get } of Object.values(document.paths)) {
    if (!get || !get.parameters?.some((p) => p.name === 'Action')) continue;
    const params = get.parameters.filter((p) => !p.$ref && p.name !== 'Action' && p.in === 'query').map(param);
    const { doc, zh } = both(get.description);
    const tag = get.tags?.[0] ?? '';
    found.set(get.operationId, { name: get.operationId, tag, tagZh: chinese.get(tag) ?? tag, doc, zh, operator: get['x-operator-only'] === true, params });
  }
  actions.value = found;
}
