// The ratios as a drawing.
import { View, parse } from 'vega';

const HERE = '#2a78b5';
const ABOVE = '#c8442d';
const BAR = 15;
/** A longer bar is cut. */
const LONGEST = 1.5;
const TICKS = [0, 0.25, 0.5, 0.75, 1, 1.25, LONGEST];

/** The same text in all browsers, on a light and on a dark page. */
const FONT = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif';

/**
 * Draws a bar for each row: the time here as a part of that of `node:wasi`.
 *
 * @param {object[]} results
 * @param {{ node: string, machine: string, geomean: number }} about
 * @returns {Promise<string>} SVG
 */
export async function plot(results, { node, machine, geomean }) {
  const values = results
    .filter((row) => row.ratio !== undefined)
    .map(({ name, ratio }) => ({
      name,
      ratio,
      shown: Math.min(ratio, LONGEST),
      label: ratio < 0.01 ? ratio.toFixed(4) : ratio.toFixed(2),
    }));
  const spec = {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    background: 'white',
    padding: 12,
    width: 460,
    height: values.length * BAR,
    config: {
      text: { font: FONT },
      axis: { labelFont: FONT, titleFont: FONT },
      title: { font: FONT, subtitleFont: FONT },
    },
    title: {
      text: 'Time of a host call: wasi-rs as a part of node:wasi',
      subtitle: [
        `Shorter is better; 1 is node:wasi. Geometric mean ${geomean.toFixed(2)}.`,
        `Node.js ${node}, ${machine}`,
      ],
      anchor: 'start',
      frame: 'group',
      offset: 10,
    },
    data: [{ name: 'rows', values }],
    scales: [
      { name: 'x', domain: [0, LONGEST], range: 'width' },
      {
        name: 'y',
        type: 'band',
        domain: { data: 'rows', field: 'name' },
        range: 'height',
        padding: 0.2,
      },
    ],
    axes: [
      { orient: 'left', scale: 'y', domain: false, ticks: false, labelPadding: 6, labelLimit: 400 },
      {
        orient: 'top',
        scale: 'x',
        values: TICKS,
        format: '.2~f',
        grid: true,
        domain: false,
      },
      { orient: 'bottom', scale: 'x', values: TICKS, format: '.2~f', domain: false },
    ],
    marks: [
      {
        type: 'rect',
        from: { data: 'rows' },
        encode: {
          enter: {
            x: { scale: 'x', value: 0 },
            x2: { scale: 'x', field: 'shown' },
            y: { scale: 'y', field: 'name' },
            height: { scale: 'y', band: 1 },
            fill: [{ test: 'datum.ratio > 1.005', value: ABOVE }, { value: HERE }],
          },
        },
      },
      {
        type: 'text',
        from: { data: 'rows' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'shown', offset: 4 },
            y: { scale: 'y', field: 'name', band: 0.5 },
            baseline: { value: 'middle' },
            fontSize: { value: 10 },
            text: { field: 'label' },
          },
        },
      },
      {
        type: 'rule',
        encode: {
          enter: {
            x: { scale: 'x', value: 1 },
            y: { value: 0 },
            y2: { signal: 'height' },
            stroke: { value: '#333' },
          },
        },
      },
    ],
  };
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
