// 只属于一个页面的文字。
export default {
  "missing.title": "页面不存在 · signalbox",
  "missing.headline": "这里什么也没有",
  "missing.lead": "这个地址没有指向此服务器的任何页面。通话的地址形如 /call/房间名。"
};
