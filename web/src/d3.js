// The parts of D3 that the charts use. Loaded with the first result: the first view needs no chart.
export { axisBottom, axisLeft } from 'd3-axis'
export { scaleBand, scaleLinear } from 'd3-scale'
export { select } from 'd3-selection'
