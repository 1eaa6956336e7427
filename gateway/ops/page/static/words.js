// Numbers and times as text.

export const count = value => Math.round(value).toLocaleString("en");

export const rate = value =>
  value >= 100 ? count(value) : String(Number(value.toFixed(value >= 10 ? 1 : 2)));

export const seconds = value => {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.995) return `${Number((value * 1000).toPrecision(2))} ms`;
  if (value < 10) return `${Number(value.toFixed(2))} s`;
  if (value < 120) return `${value.toFixed(0)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
};

/** A time in the past: at most as exact as the snapshots are frequent. */
export const ago = value =>
  value < 0.5 ? "0 s" : value < 120 ? `${Math.round(value)} s` : seconds(value);

export const bytes = value => {
  if (value === null) return "";
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at++) value /= 1024;
  return `${at ? value.toFixed(1) : value} ${units[at]}`;
};

export const clock = at => new Date(at * 1000).toISOString().slice(11, 19);
