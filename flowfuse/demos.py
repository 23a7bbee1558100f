"""The workflow that an empty data folder begins with. It runs offline, with what is built in."""

from __future__ import annotations

from flowfuse import document
from flowfuse.model import Workflow

ORDERS = """
id: orders-by-size
name: Orders by size
description: >-
  Takes an order, works out its total line by line, and answers by size. Run it by hand with an input,
  or call its webhook.
settings:
  variables:
    example: [{sku: tea, price: 4.5, count: 3}, {sku: kettle, price: 39, count: 1}]
nodes:
  - id: order
    type: trigger.webhook
    name: An order comes in
    config: {path: demo/orders, respond: respond_node}
  - id: by_hand
    type: trigger.manual
    name: Run by hand
  - id: lines
    type: transform.set
    name: Read the order
    join: any
    config:
      fields:
        customer: "{{ default(get(trigger, 'body.customer'), get(trigger, 'customer', 'Ada')) }}"
        lines: >-
          {{ default(get(trigger, 'body.lines'), get(trigger, 'lines', vars.example)) }}
  - id: each_line
    type: loop.for_each
    name: For each line
    config: {items: "{{ input.lines }}"}
  - id: line_total
    type: transform.set
    name: Work out the line
    config: {fields: {sku: "{{ item.sku }}", total: "{{ item.price * item.count }}"}}
  - id: sum
    type: transform.aggregate
    name: Add up
    config:
      items: "{{ input }}"
      operations: {lines: {op: count}, total: {op: sum, of: total}}
  - id: large
    type: condition.if
    name: Over 50?
    config: {condition: "{{ input.total > 50 }}"}
  - id: free
    type: transform.set
    name: Free shipping
    config: {keep: all, fields: {shipping: 0}}
  - id: paid
    type: transform.set
    name: Paid shipping
    config: {keep: all, fields: {shipping: 4.9}}
  - id: answer
    type: action.respond
    name: Answer
    config:
      body:
        customer: "{{ nodes.lines.customer }}"
        lines: "{{ input.lines }}"
        total: "{{ input.total + input.shipping }}"
        shipping: "{{ input.shipping }}"
edges:
  - {from: order, to: lines}
  - {from: by_hand, to: lines}
  - {from: lines, to: each_line}
  - {from: each_line.item, to: line_total}
  - {from: each_line.done, to: sum}
  - {from: sum, to: large}
  - {from: large.true, to: free}
  - {from: large.false, to: paid}
  - {from: free, to: answer}
  - {from: paid, to: answer}
"""


def demo_workflows() -> list[Workflow]:
    """The demos, as documents."""
    return [document.read(ORDERS, yaml=True)]
