// The ratios as drawings.
import { View, parse } from 'vega';

const HERE = '#2a78b5';
const ABOVE = '#c8442d';
const BAR = 15;
/** A longer bar is cut. */
const LONGEST = 1.5;
const TICKS = [0, 0.25, 0.5, 0.75, 1, 1.25, LONGEST];

/** The same text in all browsers, on a light and on a dark page. */
const FONT = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif';

/** The parts that both drawings share. */
function frame({ rows, heading, subtitle }) {
  return {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    background: 'white',
    padding: 12,
    width: 460,
    height: rows * BAR,
    config: {
      text: { font: FONT },
      axis: { labelFont: FONT, titleFont: FONT },
      legend: { labelFont: FONT },
      title: { font: FONT, subtitleFont: FONT },
    },
    title: { text: heading, subtitle, anchor: 'start', frame: 'group', offset: 10 },
  };
}

const Y_SCALE = {
  name: 'y',
  type: 'band',
  domain: { data: 'rows', field: 'name' },
  range: 'height',
  padding: 0.2,
};
const Y_AXIS = {
  orient: 'left',
  scale: 'y',
  domain: false,
  ticks: false,
  labelPadding: 6,
  labelLimit: 400,
};
/** The line at 1. */
const EQUAL = {
  type: 'rule',
  encode: {
    enter: {
      x: { scale: 'x', value: 1 },
      y: { value: 0 },
      y2: { signal: 'height' },
      stroke: { value: '#333' },
    },
  },
};

function axesOf(values, format) {
  const axis = { scale: 'x', values, format, domain: false };
  return [Y_AXIS, { ...axis, orient: 'top', grid: true }, { ...axis, orient: 'bottom' }];
}

async function svgOf(spec) {
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}

/**
 * Draws a bar for each row: the time here as a part of that of `node:wasi`.
 *
 * @param {object[]} results
 * @param {{ node: string, machine: string, heading: string, mean?: string }} about
 * @returns {Promise<string>} SVG
 */
export function plot(results, { node, machine, heading, mean = '' }) {
  const values = results
    .filter((row) => row.ratio !== undefined)
    .map(({ name, ratio }) => ({
      name,
      ratio,
      shown: Math.min(ratio, LONGEST),
      label: ratio < 0.01 ? ratio.toFixed(4) : ratio.toFixed(2),
    }));
  const subtitle = [`Shorter is better; 1 is node:wasi.${mean}`, `Node.js ${node}, ${machine}`];
  return svgOf({
    ...frame({ rows: values.length, heading, subtitle }),
    data: [{ name: 'rows', values }],
    scales: [{ name: 'x', domain: [0, LONGEST], range: 'width' }, Y_SCALE],
    axes: axesOf(TICKS, '.2~f'),
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
      EQUAL,
    ],
  });
}

/** The forms of a component in the drawing, as `components.mjs` calls them. */
const SERIES = { lowered: 'canonical ABI', values: 'values' };

/**
 * Draws two points for each row: the time of a component on wasi-rs as a part of that on jco's
 * usual host, over values and by the canonical ABI. The scale is logarithmic.
 *
 * @param {object[]} results of `measureComponents`
 * @param {{ node: string, machine: string }} about
 * @returns {Promise<string>} SVG
 */
export function plotComponents(results, { node, machine }) {
  const timed = results.filter((row) => row.isTime && row['usual host'] > 0);
  const values = timed.flatMap((row) =>
    Object.entries(SERIES)
      .filter(([form]) => row[form] > 0)
      .map(([form, series]) => ({ name: row.name, series, ratio: row[form] / row['usual host'] })),
  );
  const ratios = values.map(({ ratio }) => ratio);
  const least = Math.floor(Math.log10(Math.min(1, ...ratios)));
  const most = Math.max(1.5, ...ratios);
  const ticks = Array.from({ length: 1 - least }, (_, index) => 10 ** (least + index));
  const heading = "Time of a component: wasi-rs as a part of jco's usual host";
  const subtitle = [
    'Further left is better; 1 is the usual host. Each line is a factor of ten.',
    `Node.js ${node}, ${machine}`,
  ];
  return svgOf({
    ...frame({ rows: timed.length, heading, subtitle }),
    data: [{ name: 'rows', values }],
    scales: [
      { name: 'x', type: 'log', domain: [10 ** least, most], range: 'width' },
      Y_SCALE,
      { name: 'series', type: 'ordinal', domain: Object.values(SERIES), range: [HERE, ABOVE] },
    ],
    axes: axesOf(ticks, '~g'),
    legends: [{ fill: 'series', orient: 'bottom', direction: 'horizontal' }],
    marks: [
      {
        type: 'symbol',
        from: { data: 'rows' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'ratio' },
            y: { scale: 'y', field: 'name', band: 0.5 },
            size: { value: 55 },
            fill: { scale: 'series', field: 'series' },
            fillOpacity: { value: 0.85 },
          },
        },
      },
      EQUAL,
    ],
  });
}
