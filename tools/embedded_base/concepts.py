"""What weak labels and made texts can mark, and the many names under which it is asked for.

A concept key (`herb`) is internal; `names` are the wordings a prompt may use, `abouts` optional descriptions.
`parts` names other concepts whose spans are united: `drug` is herbs, formulas, patent medicines and Western drugs.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[int, int]


@dataclass(frozen=True)
class Concept:
    """One thing that can be asked for."""

    names: tuple[str, ...]
    abouts: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """A text and, for every concept in `spans`, all of its occurrences (possibly none); other concepts are unknown."""

    text: str
    spans: dict[str, list[Range]]


def _concept(names: str, abouts: str = "", parts: str = "") -> Concept:
    return Concept(tuple(names.split()), tuple(abouts.split()), tuple(parts.split()))


CONCEPTS: dict[str, Concept] = {
    "person": _concept(
        "人名 人名 人物 姓名 PER 人 人名实体 PERSON 人员姓名", "人的姓名 文中提到的人，只写名字 真实或虚构人物的姓名，不含职务"
    ),
    "place": _concept(
        "地名 地名 地点 地理位置 LOC 地区 位置 LOCATION 地域", "国家、省市、山川等地名 文中的地理名称 地点的名称"
    ),
    "organization": _concept(
        "机构名 机构 组织机构 组织 ORG 单位 机构名称 团体 组织机构名",
        "公司、学校、政府部门等 机关、企业、团体的名称 组织的全称或简称",
    ),
    "company": _concept("公司 企业 公司名 企业名称", "企业的名称"),
    "title": _concept("职务 职位 头衔 身份 职称", "人的职务或头衔 职务名称，不含人名"),
    "event": _concept("事件 赛事 活动", "会议、赛事、历史事件的名称"),
    "date": _concept("日期 时间 年月日 DATE 发生日期", "年、月、日 具体的年月日"),
    "clock": _concept("时刻 钟点 几点", "一天中的几点几分"),
    "percent": _concept("百分比 百分数 比例 占比", "带百分号的数"),
    "money": _concept("金额 价格 钱数 费用 MONEY", "带货币单位的数 多少钱"),
    "amount": _concept("数量 数量词 数值和单位 带单位的数", "数字加单位"),
    "book": _concept("书名 书名号内容 作品名 法律名称 书名或法规", "书名号里的内容 《》中的名称，不含书名号"),
    "quotation": _concept("引语 引号内容 引文", "引号里的内容 “”中的文字，不含引号"),
    "bracket": _concept("括号内容 括注 括号里的话", "括号里的内容，不含括号"),
    "article": _concept("条款号 条文编号 条号", "第几条、第几款"),
    "latin": _concept("英文 英文词 外文 拉丁字母词", "拉丁字母写的词"),
    "number": _concept("数字 阿拉伯数字 数", "连续的阿拉伯数字"),
    "phone": _concept("电话 电话号码 联系电话", "可以拨打的号码"),
    "rating": _concept("评分 得分 分数", "几分"),
    "shop": _concept("店名 商户 餐馆 门店", "带括号分店名的店"),
    "age": _concept("年龄 岁数 病人年龄", "多少岁"),
    "duration": _concept("病程 持续时间 时长 多长时间", "持续了多久"),
    "ordinal": _concept("序号 章节号 编号", "第几章、第几节、第几次"),
    "poet": _concept("作者 诗人", "诗词的作者"),
    "poem": _concept("标题 诗题 题目", "诗词的题目"),
    "dish": _concept("菜名 菜品", "做的是什么菜"),
    "heading": _concept("标题 小标题 首行", "第一行"),
    "herb": _concept(
        "中药 中药 中药材 药材 单味药 草药 中草药 饮片", "单味药材，如黄芪 处方中的药味 植物、动物、矿物药材的名称"
    ),
    "formula": _concept("方剂 方剂 方名 成方 中药方 汤剂 处方名", "成方，如桂枝汤 经典方或自拟方的名称 汤、散、丸、饮等方剂名"),
    "patent": _concept("中成药 成药 中药制剂 中成药名", "中药制成的胶囊、颗粒、片剂等"),
    "western_drug": _concept("西药 化学药 西药名 化学药品", "化学药物的名称 西医用药"),
    "drug": _concept(
        "药物 药品 药名 用药 药物名称 DRUG", "文中提到的药 所有药物的名称，中西药都算", "herb formula patent western_drug"
    ),
    "tcm_drug": _concept("中医用药 中药和方剂", "药材、方剂与中成药", "herb formula patent"),
    "symptom": _concept("症状 症状 病症表现 不适 症状体征", "病人的不适 疾病的症状，如头痛"),
    "tongue": _concept("舌象 舌苔 舌质舌苔", "对舌的观察"),
    "pulse": _concept("脉象 脉", "对脉的描述"),
    "clinical": _concept(
        "临床表现 临床表现 症状体征 表现 症候表现 体征",
        "症状与体征，含舌脉 病人的症状、舌象和脉象 疾病表现出来的症状",
        "symptom tongue pulse",
    ),
    "disease": _concept("西医诊断 西医诊断 疾病 病名 疾病名称 诊断 DISEASE 西医病名", "西医的病名 疾病的名称 诊断出的疾病"),
    "tcm_disease": _concept("中医诊断 中医诊断 中医病名 中医疾病", "中医的病名，如胸痹 按中医诊断的病"),
    "any_disease": _concept("疾病 病名 诊断 病种", "中西医病名都算", "disease tcm_disease"),
    "syndrome": _concept("中医证候 中医证候 证型 证候 辨证 证", "中医的证，如气滞血瘀 辨证结果 辨证分型的名称"),
    "principle": _concept("中医治则 中医治则 治法 治则 功效 治则治法 中医治法", "治疗法则，如活血化瘀 治疗原则或功效"),
    "therapy": _concept("其他治疗 中医治疗 其他治疗 外治法 非药物疗法 中医外治 中医疗法", "针灸、推拿等 不用内服药的疗法"),
    "western_treatment": _concept(
        "西医治疗 西医治疗 西医疗法 治疗手段 手术或处置", "西医的治疗，如手术、补液 西医的处置与手术"
    ),
    "treatment": _concept("治疗 治疗方法 治疗方式", "各种疗法与手术", "therapy western_treatment"),
    "exam": _concept("检查 检查项目 检验检查 化验", "检查与化验项目"),
    "body": _concept("部位 身体部位 解剖部位", "身体的部位或器官"),
    "department": _concept("科室 就诊科室", "医院的科室"),
    "acupoint": _concept("穴位 腧穴 取穴", "针灸取的穴"),
    "dose": _concept("剂量 用量 药量", "每味药用多少"),
    "usage": _concept("用法 服法 服用方法 频次", "怎样服用"),
    "patient": _concept("患者 病人称谓 患者信息", "病人的称呼或姓名"),
    "food": _concept("食物 食材 食品 原料 配料", "可以吃的东西 食材与调料"),
    "tool": _concept("厨具 工具 器具", "做饭用的器具"),
    "software": _concept("软件 软件名 程序 系统或软件", "软件、系统、编程语言的名称"),
    "body_organ_state": _concept("机关 国家机关 主管机关", "法律里的机关名称"),
    "product": _concept("产品 商品 产品名称", "产品的名称"),
    "party": _concept("合同当事人 签约方 甲方乙方", "签合同的双方"),
    "id_number": _concept("编号 合同编号 文号 证件号", "号码或编号"),
    "address": _concept("地址 住址 详细地址", "完整的地址"),
    "family": _concept("亲属 家属 亲属称谓", "家人的称呼"),
    "sport": _concept("项目 运动 运动项目", "体育项目"),
}

# Asked together, one of these would repeat or contradict the other.
RIVALS = tuple(
    {whole, part}
    for whole, parts in {
        "drug": ("tcm_drug", "herb", "formula", "patent", "western_drug"),
        "tcm_drug": ("herb", "formula", "patent"),
        "clinical": ("symptom", "tongue", "pulse"),
        "any_disease": ("disease", "tcm_disease"),
        "treatment": ("therapy", "western_treatment"),
    }.items()
    for part in parts
)


def unite_parts(spans: dict[str, list[Range]]) -> dict[str, list[Range]]:
    """Add every united concept of which all parts are known."""
    united = dict(spans)
    for key, concept in CONCEPTS.items():
        if concept.parts and all(part in spans for part in concept.parts):
            united[key] = sorted({place for part in concept.parts for place in spans[part]})
    return united
