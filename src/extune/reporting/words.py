"""The words of the pages in both languages. In: an English phrase. Out: it and its Chinese, of which the reader sees one.

English phrases are the keys, with `{placeholders}` for values. Names that the user gave never pass through here.
"""

from __future__ import annotations

from markupsafe import Markup, escape

from extune.reporting.check_words import CHECK_CHINESE

_REPORT = {
    "Skip to the content": "跳到正文",
    "Headline": "要点",
    "Theme: system": "主题：随系统",
    "Theme: light": "主题：浅色",
    "Theme: dark": "主题：深色",
    "Scores": "得分",
    "By type": "按类型",
    "By field": "按字段",
    "By label": "按标签",
    "By seed": "按种子",
    "Confusion": "混淆矩阵",
    "Mistakes": "错误分类",
    "Problems of the answers": "输出中的问题",
    "Documents": "文档",
    "Reliability": "可靠性",
    "Data": "数据",
    "Training": "训练",
    "Training run": "训练过程",
    "Recipe": "配方",
    "Evaluation": "评测",
    "Where this comes from": "来源",
    "This test set": "本测试集",
    "What was trained on": "训练所用数据",
    "Baselines": "基线",
    "Twice the data": "数据翻倍",
    "Dots: one training each. Line: means. Dashed: the power law, up to twice the data, with the 95 % interval there.": (
        "点：每次训练。实线：均值。虚线：幂律，延伸到数据翻倍处，并标出该处的 95% 区间。"
    ),
    "Mean scores on {count} dev examples": "{count} 条开发集样本上的平均得分",
    "twice the data would bring": "数据翻倍的预期收益",
    "The intervals come from the seeds; they do not know that the dev set is a sample too.": (
        "区间来自不同的随机种子，没有计入开发集本身也是抽样这一点。"
    ),
    "Mean and standard deviation": "均值与标准差",
    "What changed": "变化",
    "What changed in the recipe": "配方的变化",
    "What changed in the manifest": "运行清单的变化",
    "a prediction is right where": "何时算对",
    "against baselines": "与基线相比",
    "95 % interval": "95% 区间",
    "no interval": "无区间",
    "There is no baseline for this kind of task, or train is not known.": "此类任务没有基线，或训练集未知。",
    "{count} of the scored texts are also in train": "评测文本中有 {count} 条也在训练集中",
    "{name} without them {figure}": "去掉它们后 {name} 为 {figure}",
    "Rows are gold, columns predicted. A number opens its documents below.": (
        "行为标准答案，列为预测。点击数字可在下方查看相应文档。"
    ),
    "The diagonal holds right spans and those with other boundaries only.": "对角线包含完全正确的片段，以及仅边界不同的片段。",
    "{count} names that occur least are left out.": "出现最少的 {count} 个名称未列出。",
    "Every wrong and every missed span stands in exactly one class; columns add both. A number opens its documents below.": (
        "每个误报和每个漏报都恰好属于一类；各列为两者之和。点击数字可在下方查看相应文档。"
    ),
    "{count} of {total} answers have a problem.": "{total} 个输出中有 {count} 个存在问题。",
    "Mentions not in their text ({ungrounded}) and pieces that became no span ({unusable}) count as wrong predictions.": (
        "不在原文中的提及（{ungrounded}）和未能成为片段的部分（{unusable}）都算作误报。"
    ),
    "None: every answer could be read.": "无：每个输出都可以解析。",
    "The list of documents needs JavaScript; predictions.jsonl and gold.jsonl beside this page hold the same.": (
        "文档列表需要 JavaScript；本页旁边的 predictions.jsonl 与 gold.jsonl 内容相同。"
    ),
    "Expected calibration error {error}: the mean distance between how sure the model is and how often it is right.": (
        "期望校准误差 {error}：模型的把握与实际正确率之间的平均距离。"
    ),
    "A perfectly calibrated model would have {low} to {high} on so many predictions.": (
        "对同样多的预测，完全校准的模型该误差为 {low} 至 {high}。"
    ),
    "Bar: how often right. Mark: mean confidence. They meet where the model is calibrated.": (
        "横条：正确率。竖线：平均置信度。模型校准良好时两者重合。"
    ),
    "These predictions carry no confidence, so nothing can be said about it.": "这些预测不带置信度，因此无从判断。",
    "{count} predictions have no confidence.": "{count} 个预测没有置信度。",
    "These predictions come from a file: there is no recipe, no manifest and no training curve.": (
        "这些预测来自文件：没有配方、运行清单和训练曲线。"
    ),
    "mean of {count} seeds": "{count} 个种子的均值",
    "mean ± deviation": "均值 ± 标准差",
    "figure": "指标",
    "seed": "种子",
    "seeds": "种子数",
}

_FIGURES = {
    "strict F1": "严格 F1",
    "F1": "F1",
    "P": "精确率",
    "R": "召回率",
    "precision": "精确率",
    "recall": "召回率",
    "accuracy": "准确率",
    "macro F1": "宏平均 F1",
    "micro": "微平均",
    "macro": "宏平均",
    "MCC": "MCC",
    "ROUGE-L": "ROUGE-L",
    "BLEU": "BLEU",
    "character F1": "字符 F1",
    "perplexity": "困惑度",
    "presence precision": "有无精确率",
    "presence recall": "有无召回率",
    "presence P": "有无精确率",
    "presence R": "有无召回率",
    "parseable answers": "可解析的输出",
    "{low} to {high} (95 %)": "{low} 至 {high}（95%）",
    "{count} of {total} predicted": "{total} 个预测中有 {count} 个对",
    "{count} of {total} in gold": "{total} 个标注中找到 {count} 个",
    "of {total}": "共 {total}",
    "of {total}, counted as wrong": "共 {total}，算作错误",
    "over {count} target tokens": "基于 {count} 个目标词元",
    "needs the model": "需要模型",
    "documents without mistake": "完全正确的文档",
    "records without mistake": "完全正确的记录",
    "answers without a label": "没有标签的输出",
    "equal to the gold answer": "与标准答案相同",
    "strict": "严格",
    "text": "文本",
    "partial": "部分",
    "start, end and type are those of a gold span": "起止位置与类型都与某个标注片段相同",
    "type and text are those of a gold span, wherever it stands": "类型与文本相同，位置不限",
    "same type; the same place counts 1, an overlap 1/2": "类型相同；位置相同计 1，重叠计 1/2",
    "start and end are those of a gold span, whatever its type": "起止位置相同，类型不限",
    "mean of the strict F1 of the types that occur": "出现过的各类型严格 F1 的均值",
    "type": "类型",
    "field": "字段",
    "label": "标签",
    "kind": "种类",
    "in gold": "标注数",
    "predicted": "预测数",
    "right": "对",
    "wrong": "误报",
    "missed": "漏报",
    "nothing": "什么都不标",
    "majority type": "多数类型",
    "gazetteer": "词典匹配",
    "majority class": "多数类别",
    "untrained base": "未训练的基座",
    "confidence": "置信度",
    "mean confidence": "平均置信度",
    "predictions": "预测数",
}

_MISTAKES = {
    "by class": "按错误类别",
    "by type": "按类型",
    "by length": "按提及长度",
    "by position": "按文中位置",
    "by frequency": "按训练集中出现次数",
    "by seen": "按训练集中是否见过",
    "all": "全部",
    "boundary": "边界",
    "boundary+type": "边界+类型",
    "missing": "遗漏",
    "spurious": "多余",
    "duplicate": "重复",
    "ungrounded": "不在原文",
    "unparseable": "无法解析",
    "cut off": "被截断",
    "closed early": "提前收尾",
    "too long": "文本过长",
    "unknown type": "未知类型",
    "wrong label": "标签错误",
    "no label": "没有标签",
    "different": "内容不同",
    "no type": "无类型",
    "no place": "无位置",
    "first quarter": "第一个四分之一",
    "second quarter": "第二个四分之一",
    "third quarter": "第三个四分之一",
    "last quarter": "最后四分之一",
    "11 or more": "11 及以上",
    "20 or more": "20 及以上",
    "seen with this type": "见过且类型相同",
    "seen with another type": "见过但类型不同",
    "unseen": "未见过",
    "(no label)": "（无标签）",
}

_DOCUMENTS = {
    "documents": "文档",
    "class of mistake": "错误类别",
    "in train": "训练集中",
    "problem of the answer": "输出的问题",
    "search": "搜索",
    "show all": "显示全部",
    "with mistakes": "有错误",
    "without mistake": "无错误",
    "also in train": "也在训练集中",
    "{first} to {last} of {chosen} chosen; {total} documents in all.": (
        "第 {first} 至 {last} 条，选中 {chosen} 条，共 {total} 条文档。"
    ),
    "Of {total} documents this page holds {held}, those with mistakes first; predictions.jsonl holds all.": (
        "{total} 条文档中本页收录 {held} 条，有错误的优先；全部见 predictions.jsonl。"
    ),
    "page": "第",
    "first": "首页",
    "previous": "上一页",
    "next": "下一页",
    "last": "末页",
    "gold": "标准答案",
    "prediction": "预测",
    "found": "找到",
    "missed: only in gold": "漏报：只在标准答案中",
    "wrong: only predicted": "误报：只在预测中",
    "None of {total} documents fits.": "{total} 条文档中没有符合的。",
    "earlier turns": "之前的对话",
    "the model's answer": "模型输出",
}

_PAIR = {
    "fixed": "改对",
    "broken": "改错",
    "both right": "都对",
    "both wrong": "都错",
    "difference in {name}": "{name} 之差",
    "{low} to {high} (95 %, paired), p = {p}": "{low} 至 {high}（95%，配对），p = {p}",
    "B is better: the interval of the difference lies above 0.": "B 更好：差值的区间在 0 以上。",
    "B is worse: the interval of the difference lies below 0.": "B 更差：差值的区间在 0 以下。",
    "This test set does not show a difference: the interval holds 0.": "此测试集看不出差别：区间包含 0。",
    "Intervals: paired bootstrap over documents. p: approximate randomisation, not corrected for the number of names.": (
        "区间：按文档的配对自助法。p：近似随机化检验；单个名称的 p 值未作多重比较校正。"
    ),
    "Not both of them have a recipe.": "两者并非都有配方。",
    "Nothing: the recipes are equal.": "无：配方相同。",
    "Nothing that both of them know.": "无已知变化。",
}

_CURVES = {
    "loss": "损失",
    "training": "训练",
    "dev": "开发集",
    "dev F1": "开发集 F1",
    "dev macro F1": "开发集宏平均 F1",
    "dev accuracy": "开发集准确率",
    "dev ROUGE-L": "开发集 ROUGE-L",
    "learning rate": "学习率",
    "optimizer step": "优化步数",
    "best {value} at step {step}": "最佳 {value}，第 {step} 步",
    "nothing was logged": "没有记录",
    "Trained at {rows} rows/s.": "训练速度：每秒 {rows} 行。",
    "Dev rows were predicted and scored at {rows} rows/s.": "开发集预测与评分速度：每秒 {rows} 行。",
    "unreadable lines left out: {count}": "略去无法读取的行：{count}",
}

_FACTS = {
    "run": "运行",
    "split": "数据划分",
    "engine": "引擎",
    "file": "文件",
    "test set hash": "测试集哈希",
    "decoding": "解码设置",
    "seconds": "秒数",
    "rows per second": "每秒行数",
    "scored": "评测时间",
    "training set": "训练集",
    "notes": "备注",
    "predictions hash": "预测文件哈希",
    "dropped": "丢弃",
    "shortened": "截短",
    "windowed": "切窗",
    "skipped": "跳过的行",
    "examples": "样本数",
    "gold spans": "标注片段数",
    "encoding": "编码",
    "open occurrences": "位置不定的提及",
    "characters": "字符数",
    "characters mean": "平均长度（字符）",
    "characters median": "长度中位数（字符）",
    "characters longest": "最长（字符）",
    "without annotation": "无标注的文档",
    "started": "开始",
    "finished": "结束",
    "device": "设备",
    "cpu count": "CPU 数",
    "platform": "平台",
    "python": "Python",
    "versions": "版本",
    "data": "数据",
}

CHINESE = {**_REPORT, **_FIGURES, **_MISTAKES, **_DOCUMENTS, **_PAIR, **_CURVES, **_FACTS, **CHECK_CHINESE}


def say(phrase: str, **values: object) -> Markup:
    """Both languages as HTML, values filled in and escaped.

    Raises:
        KeyError: a phrase without Chinese.
    """
    return _write("span", phrase, CHINESE[phrase], values)


def say_if_known(name: str) -> Markup:
    """Both languages where the name is one of ours, else the name as it is."""
    return say(name) if name in CHINESE else escape(name)


def say_in_svg(phrase: str, **values: object) -> str:
    """Both languages as content of an SVG text element."""
    return str(_write("tspan", phrase, CHINESE[phrase], values))


def _write(tag: str, english: str, chinese: str, values: dict[str, object]) -> Markup:
    both = (("en", english), ("zh", chinese))
    return Markup("").join(
        Markup('<{tag} lang="{lang}">{text}</{tag}>').format(
            tag=Markup(tag), lang=lang, text=Markup(escape(text)).format(**values)
        )
        for lang, text in both
    )
