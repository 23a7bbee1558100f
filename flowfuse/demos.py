"""The workflows that an empty data folder begins with. They run offline, with what is built in."""

from __future__ import annotations

from flowfuse import document
from flowfuse.model import Workflow

ORDERS = """
id: orders-by-size
name: Orders by size
description: >-
  Takes an order, works out its total line by line, and answers by size. Run it by hand with an input, or
  call its webhook. It shows: a webhook, a loop, a branch, an answer.
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


NEWS = """
id: only-what-is-new
name: Only what is new
description: >-
  Looks every five minutes whether there is something new, and goes through only what no run has seen
  before. It shows: a schedule, a call, “Only what is new”, a branch. Run it by hand twice to see the
  difference.
nodes:
  - {id: clock, type: trigger.schedule, name: Every five minutes, config: {every: 5m}}
  - {id: by_hand, type: trigger.manual, name: Run by hand}
  - id: poll
    type: action.http_request
    name: Read the notices
    join: any
    config: {url: /demo/news}
    retry: {attempts: 3, initial: 2s}
  - id: fresh
    type: transform.only_new
    name: Only what is new
    config: {items: "{{ input.body }}", key: id}
  - id: any_new
    type: condition.if
    name: Anything new?
    config: {condition: "{{ len(input) > 0 }}"}
  - id: tell
    type: action.log
    name: Say what is new
    config: {message: "{{ len(input) }} new: {{ join([n.title for n in input], ', ') }}"}
  - id: nothing
    type: action.log
    name: Nothing new
    config: {message: Nothing new since the last time.}
edges:
  - {from: clock, to: poll}
  - {from: by_hand, to: poll}
  - {from: poll, to: fresh}
  - {from: fresh, to: any_new}
  - {from: any_new.true, to: tell}
  - {from: any_new.false, to: nothing}
"""

LABELS = """
id: labels-for-orders
name: Labels for orders
description: >-
  Asks the shipping desk for a label for each order, four at a time. One order is refused: it takes the
  error’s way and is reported, the others go on. It shows: a loop with calls, retries, an error route.
nodes:
  - {id: by_hand, type: trigger.manual, name: Run by hand}
  - {id: orders, type: action.http_request, name: Read the orders, config: {url: /demo/orders}}
  - id: each_order
    type: loop.for_each
    name: For each order
    config: {items: "{{ input.body }}", concurrency: 4}
  - id: label
    type: action.http_request
    name: Ask for a label
    config: {url: "/demo/shipping/{{ item.id }}"}
    retry: {attempts: 3, initial: 1s}
    on_error: route
  - id: labelled
    type: transform.set
    name: Labelled
    config: {fields: {order: "{{ item.id }}", label: "{{ input.body.label }}", ok: true}}
  - id: refused
    type: transform.set
    name: Refused
    config: {fields: {order: "{{ item.id }}", why: "{{ input.error.message }}", ok: false}}
  - id: report
    type: transform.set
    name: Report
    config:
      fields:
        labelled: "{{ len([r for r in input if r.ok]) }}"
        refused: "{{ [r for r in input if not r.ok] }}"
edges:
  - {from: by_hand, to: orders}
  - {from: orders, to: each_order}
  - {from: each_order.item, to: label}
  - {from: label, to: labelled}
  - {from: label.error, to: refused}
  - {from: each_order.done, to: report}
"""

FILES = """
id: a-file-of-orders
name: A file of orders
description: >-
  Downloads a file of orders, reads its rows, adds them up by town and makes a file of the result, which
  can be downloaded from the run. It shows: files as values.
nodes:
  - {id: by_hand, type: trigger.manual, name: Run by hand}
  - id: download
    type: action.http_request
    name: Download the file
    config: {url: /demo/orders.csv, response: file}
  - id: rows
    type: action.read_file
    name: Read its rows
    config: {file: "{{ input.body }}", format: csv}
  - id: by_town
    type: transform.set
    name: Add up by town
    config:
      fields:
        towns: >-
          {{ [{"town": town, "orders": len(rows),
          "total": round(sum([float(r.price) * int(r.count) for r in rows]), 2)}
          for town, rows in items(group_by(input, "town"))] }}
  - id: file
    type: action.make_file
    name: Make the report
    config: {content: "{{ input.towns }}", format: csv, name: towns.csv}
edges:
  - {from: by_hand, to: download}
  - {from: download, to: rows}
  - {from: rows, to: by_town}
  - {from: by_town, to: file}
"""

CODE = """
id: a-little-code
name: A little code
description: >-
  Reads the orders and works out a shipping plan in Python: what is not easily said in expressions. The
  code sees its inputs and nothing else of the machine. It shows: the code node, its inputs, what it prints.
nodes:
  - {id: by_hand, type: trigger.manual, name: Run by hand}
  - {id: orders, type: action.http_request, name: Read the orders, config: {url: /demo/orders}}
  - id: plan
    type: action.code
    name: Fill the boxes
    config:
      inputs: {orders: "{{ input.body }}", box: 5}
      source: |
        # First-fit: each order goes into the first box that has room for it.
        boxes = []
        for order in sorted(orders, key=lambda o: -o["count"]):
            for content in boxes:
                if sum(o["count"] for o in content) + order["count"] <= box:
                    content.append(order)
                    break
            else:
                boxes.append([order])
        print(f"{len(orders)} orders in {len(boxes)} boxes")
        return [[order["id"] for order in content] for content in boxes]
edges:
  - {from: by_hand, to: orders}
  - {from: orders, to: plan}
"""


def demo_workflows() -> list[Workflow]:
    """The demos, as documents."""
    return [document.read(text, yaml=True) for text in (CODE, FILES, LABELS, NEWS, ORDERS)]
