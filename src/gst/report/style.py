"""The style sheet of the page."""

from __future__ import annotations

STYLE = """
:root { --ink: #1d2430; --soft: #5b6472; --line: #dfe3e8; --back: #f6f7f9; --blue: #0b5c9e; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
header, main, footer { max-width: 1080px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 36px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3em; }
h2 { font-size: 1.4rem; margin: 2.2em 0 .6em; }
h3 { font-size: 1.08rem; margin: 0 0 .5em; }
p { margin: .4em 0 .8em; }
.soft, footer { color: var(--soft); font-size: .92rem; }
nav a { margin-right: 1.1em; }
a { color: var(--blue); }
code { background: #e9edf1; padding: .1em .35em; border-radius: 4px; font-size: .92em;
  overflow-wrap: anywhere; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 0 0 18px; }
.chips { display: flex; flex-wrap: wrap; gap: 10px; margin: 0 0 1em; }
.chip { border-radius: 10px; padding: 8px 14px; min-width: 104px; }
.chip b { display: block; font-size: 1.5rem; line-height: 1.2; }
.pill { border-radius: 20px; padding: 2px 10px; font-size: .84rem; display: inline-block;
  white-space: nowrap; }
.good { background: #d3efdc; color: #0c4a24; }
.hint { background: #dcebfa; color: #0b3f6d; }
.open { background: #f4ecd2; color: #5b4a0c; }
.doubt { background: #fbe3cf; color: #7a3a06; }
.bad { background: #f8d5d5; color: #7c1414; }
.none { background: #e8ebee; color: #48505b; }
figure { margin: 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .92rem; margin-top: .8em; }
figcaption p { margin: .35em 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.claims .soft { font-size: .8rem; }
.claims td:first-child { width: 42%; }
details > summary { cursor: pointer; color: var(--blue); margin: .6em 0; }
@media (max-width: 720px) {
  body { font-size: 15px; }
  header, main, footer { padding-left: 12px; padding-right: 12px; }
  .card { padding: 14px; }
  table.claims, .claims tbody, .claims tr, .claims td { display: block; width: 100%; }
  .claims thead { display: none; }
  .claims tr { padding: 10px 0; border-bottom: 1px solid var(--line); }
  .claims td, .claims td.number { border: 0; padding: 2px 0; text-align: left;
    white-space: normal; }
  .claims td:empty { display: none; }
  .claims td:first-child { width: 100%; }
  .claims td:not(:first-child)::before { content: attr(data-label) ": "; color: var(--soft); }
}
"""
