// What only one page says.
export default {
  "missing.title": "Not here · signalbox",
  "missing.headline": "There is nothing here",
  "missing.lead": "This address leads to none of this server’s pages. A call’s address looks like /call/room."
};
