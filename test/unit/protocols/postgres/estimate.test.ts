import { describe, expect, test } from '@jest/globals';
import { numbersOf } from '../../../../proxy/protocols/postgres/estimate.ts';

const scan = { 'Node Type': 'Seq Scan', 'Plan Rows': 12, 'Total Cost': 3.5, Filter: "(ssn = '078-05-1120'::text)" };
const json = (...plans: unknown[]) => JSON.stringify(plans.map((plan) => ({ Plan: plan })));

describe('what is kept of a plan', () => {
  test('is rows, cost and the kind of node, and no condition', () => {
    expect(numbersOf(json(scan))).toEqual({ rows: 12, cost: 3.5, node: 'Seq Scan' });
  });

  test('counts the rows below a change, and not those of its subqueries', () => {
    const changed = {
      ...{ 'Node Type': 'ModifyTable', Operation: 'Delete', 'Plan Rows': 0, 'Total Cost': 9 },
      Plans: [
        { ...scan, 'Plan Rows': 99, 'Parent Relationship': 'InitPlan' },
        { ...scan, 'Parent Relationship': 'Outer' },
      ],
    };
    expect(numbersOf(json(changed))).toEqual({ rows: 12, cost: 9, node: 'Seq Scan' });
  });

  test.each([
    ['two plans', json(scan, scan)],
    ['none', '[]'],
    ['rows that are no number', json({ ...scan, 'Plan Rows': '078-05-1120' })],
    ['a cost below nothing', json({ ...scan, 'Total Cost': -1 })],
    ['a change with nothing below', json({ ...scan, 'Node Type': 'ModifyTable', Plans: [] })],
    ['something else', 'null'],
  ])('is nothing of %s', (_what, plan) => {
    expect(numbersOf(plan)).toEqual({});
  });

  test('is no node whose name is not one', () => {
    expect(numbersOf(json({ ...scan, 'Node Type': "Filter: ssn = '078-05-1120'" }))).toEqual({ rows: 12, cost: 3.5 });
  });
});
