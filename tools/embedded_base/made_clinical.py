"""Grammar of made clinical texts: literature, case reports, prescriptions, textbook sentences, patients' questions."""

from __future__ import annotations

from tools.embedded_base import lexicon_general as general
from tools.embedded_base import lexicon_medical as medical
from tools.embedded_base import made_names as names
from tools.embedded_base.made_text import Production

KNOWN = (
    "herb formula patent western_drug symptom tongue pulse disease tcm_disease syndrome principle therapy western_treatment exam acupoint dose usage age "
    "duration patient department family person"
).split()

GRAMMAR: dict[str, Production] = {
    "herb": names.make_herb,
    "formula": names.make_formula,
    "patent": names.make_patent,
    "western_drug": names.make_western_drug,
    "symptom": names.make_symptom,
    "tongue": medical.TONGUE,
    "pulse": medical.PULSE,
    "disease": names.make_disease,
    "tcm_disease": medical.TCM_DISEASES,
    "syndrome": names.make_syndrome,
    "principle": names.make_principle,
    "therapy": medical.THERAPIES,
    "western_treatment": medical.WESTERN_TREATMENTS,
    "exam": medical.EXAMS,
    "acupoint": medical.ACUPOINTS,
    "department": medical.DEPARTMENTS,
    "dose": names.make_dose,
    "drug_dose": names.make_drug_dose,
    "date": names.make_date,
    "person": names.make_person,
    "surname": general.COMMON_SURNAMES,
    "n": lambda r: str(r.randint(8, 160)),
    "small": lambda r: str(r.randint(2, 9)),
    "p": lambda r: f"{r.uniform(40, 99):.{r.choice((0, 1, 2))}f}%",
    "age": lambda r: f"{r.randint(2, 88)}岁",
    "duration": lambda r: r.choice(("", "", "余", "半")) and f"{r.randint(2, 9)}年余" or f"{r.choice((r.randint(1, 30), '半', '两', '三', '十'))}{r.choice(('年', '个月', '天', '周', '小时'))}",
    "sex": ("男", "女"),
    "usage": ("每日1剂", "水煎服", "水煎，早晚分服", "每日3次", "每日2次口服", "一日三次", "口服", "静脉滴注", "饭后服", "温服", "每晚睡前服", "1日1剂", "外敷患处", "每次2粒", "冲服", "肌注", "研末吞服", "顿服", "水煎取汁300ml"),
    "family": ("妈妈", "爸爸", "父亲", "母亲", "奶奶", "爷爷", "老公", "妻子", "孩子", "儿子", "女儿", "外婆", "叔叔", "姐姐", "弟弟", "我朋友"),
    "patient": ("{surname}某", "{surname}某某", "患者{surname}某", "{person}"),
    "herb_dose": ("{herb}{dose}", "{herb}{dose}", "{herb} {dose}", "{herb}（{note}）{dose}"),
    "note": ("先煎", "后下", "包煎", "另煎", "冲服", "烊化", "炒"),
    "tp": ("{tongue}，{tongue2}，{pulse}", "{tongue}{tongue2}，{pulse}", "{tongue}，{pulse}", "{pulse}", "{tongue}、{tongue2}、{pulse}"),
    "tongue2": ("{tongue}",),
    "drugs": ("{western_drug}", "{western_drug}", "{western_drug}{drug_dose}", "{western_drug*2-3}", "{western_drug}和{western_drug}", "{patent}", "{patent}联合{western_drug}"),
    "any_tcm": ("{formula}", "{formula}", "{formula}", "{patent}", "{formula}加{herb*1-3}", "{formula}合{formula}", "{formula}加减"),
    "sd": ("{disease}", "{disease}", "{disease}", "{tcm_disease}", "{syndrome}{disease}", "{tcm_disease}（{disease}）", "{disease}属{syndrome}者"),
    "group": ("治疗组", "观察组", "对照组", "中药组", "试验组", "A组", "联合组"),
    "clinical_text": (
        "{literature}", "{literature}", "{literature}", "{literature}{literature}", "{literature}{literature}", "{case}", "{case}", "{prescription}", "{prescription}", "{textbook}",
        "{textbook}", "{textbook}{textbook}", "{title_line}", "{title_line}", "{question}", "{answer}", "{answer}", "{question}{answer}", "{structured}", "{theory}", "{theory}", "{objective}",
        "{bare}",
    ),
    "bare": (
        "{herb*3-14}。", "{symptom*3-9}。", "{symptom*2-5,}，{tp}。", "{disease*2-6}。", "{formula*2-6}。", "{herb_dose*4-12,}。", "{herb*4-12 }", "{principle*2-5,}。", "{syndrome*2-5}。",
        "{acupoint*3-8}。", "{exam*2-5}。", "{western_drug*2-6}。", "{tcm_disease*2-5}。", "{symptom}", "{disease}", "{herb}味苦，性寒。",
    ),
    "title_line": (
        "{any_tcm}治疗{sd}{n}例", "{any_tcm}治疗{sd}{n}例临床观察", "{any_tcm}治疗{sd}的疗效观察", "中西医结合治疗{sd}{n}例", "{any_tcm}联合{drugs}治疗{disease}临床研究", "{therapy}治疗{sd}{n}例体会",
        "{therapy}配合{any_tcm}治疗{sd}", "{principle}法治疗{sd}的研究进展", "从{syndrome}论治{tcm_disease}", "试论{principle}法在{disease}中的应用", "{herb}对{disease}大鼠的影响", "{any_tcm}加减治疗{disease}验案{small}则",
        "{western_treatment}联合{any_tcm}治疗{disease}{n}例", "自拟{formula}治疗{sd}", "名老中医{person}治疗{disease}经验", "{person}教授运用{formula}治疗{disease}经验", "{disease}的{exam}表现", "{herb}配伍{herb}治疗{tcm_disease}",
    ),
    "objective": (
        "目的：观察{any_tcm}治疗{sd}的临床疗效。方法：将{n}例患者随机分为两组，对照组给予{drugs}，治疗组在此基础上加用{any_tcm}。结果：治疗组总有效率为{p}，明显优于对照组的{p}。结论：{any_tcm2}能改善患者的{symptom}、{symptom}等症状。",
        "目的：探讨{therapy}对{disease}患者的影响。方法：{n}例{disease}患者分为{group}和对照组，对照组采用{western_treatment}，另一组加用{therapy}。结果总有效率{p}。",
        "目的 研究{herb}提取物对{disease}模型大鼠的作用。方法 将{n}只大鼠分为模型组、{western_drug}组和{herb}组。结果 {herb}组{exam}明显降低。",
    ),
    "any_tcm2": ("{any_tcm}",),
    "literature": (
        "治疗组用{any_tcm}加{herb}{dose}治疗{sd}{n}例，总有效率{p}。", "{group}在对照组基础上加服{any_tcm}，药用{herb*3-8}等。", "对照组予{drugs}口服，{usage}，连服{small}周。", "{group}采用{therapy}配合{any_tcm}治疗，{usage}。",
        "结果显示，{any_tcm}可明显改善{disease}患者的{symptom}、{symptom}。", "两组均给予{western_treatment}、{western_treatment}等常规治疗。", "{person}等用{any_tcm}治疗{sd}{n}例，有效率{p}。", "{person}报道以{herb*2-5}为主治疗{disease}，疗效满意。",
        "治疗以{principle}为主，方用{formula}。", "临床研究表明{herb}具有{principle}、{principle}的功效，可用于{sd}。", "中医辨证属{syndrome}，治宜{principle}，方选{any_tcm}加减。", "所有病例均符合{disease}的诊断标准，中医辨证为{syndrome}。",
        "随症加减：{symptom}者加{herb*1-3}；{symptom}者加{herb*1-2}；{syndrome}者加{herb*1-2}。", "{symptom}甚者，加{herb}、{herb}；{symptom}明显者，去{herb}加{herb}。", "兼{symptom}加{herb}，兼{symptom}加{herb*1-2}。", "现代药理研究证实，{herb}能够减轻{symptom}，对{disease}有较好的防治作用。",
        "不良反应：{n}例出现{symptom}，{small}例出现{symptom}、{symptom}，停药后缓解。", "{disease}多由{syndrome}所致，故以{principle}立法。", "取穴：{acupoint*3-6}，采用{therapy}，每日1次。", "西医常规治疗包括{western_treatment*2-4}。", "{n}例中{disease}{small}例，{disease}{small}例，{disease}{small}例。",
        "诊断为{disease}{n}例，{disease}{n}例，均经{exam}证实。", "{n}例患者中辨证为{syndrome}{small}例、{syndrome}{small}例、{syndrome}{small}例。", "治疗{small}个疗程后，{symptom}消失，{symptom}明显减轻，{exam}恢复正常。", "排除{disease}、{disease}及{disease}患者。", "结论：{any_tcm}治疗{sd}疗效确切，优于{western_drug}。",
        "{any_tcm}由{herb*4-10}组成，具有{principle}之功。", "方中{herb}、{herb}{principle}，{herb}{principle}，{herb}{principle}，诸药合用，共奏{principle}之效。", "方中以{herb}为君，{principle}；{herb}、{herb}为臣，{principle}；佐以{herb}{principle}；{herb}为使。",
        "{disease}术后患者给予{western_treatment}，同时口服{any_tcm}。", "观察{any_tcm}对{disease}患者{symptom}的改善情况。", "{formula}源于《{book_name}》，由{herb*3-7}组成，主治{tcm_disease}。", "根据{person}教授的经验，{tcm_disease}当分{syndrome}、{syndrome}、{syndrome}三型论治。",
        "{group}{n}例，予{formula}（{herb*4-9}）{usage}；对照组{n}例，予{drugs}。", "给予{drugs}，{usage}，同时配合{therapy}。", "针对{symptom}，可配合{therapy}、{therapy}。", "本病属中医“{tcm_disease}”、“{tcm_disease}”范畴。", "{disease}归属于中医学{tcm_disease}、{tcm_disease}的范畴，其病机为{syndrome}。",
    ),
    "book_name": ("伤寒论", "金匮要略", "医林改错", "脾胃论", "景岳全书", "温病条辨", "太平惠民和剂局方", "兰室秘藏", "医宗金鉴", "千金方", "丹溪心法", "医学衷中参西录"),
    "theory": (
        "{tcm_disease}的病因以{syndrome}为主，日久可致{syndrome}。", "{syndrome}则见{symptom}、{symptom}；{syndrome}则见{symptom}。", "中医认为，{disease}的发生与{syndrome}、{syndrome}有关，治疗当{principle}、{principle}。", "本病多因{syndrome}而发，症见{symptom*3-6}。",
        "肾虚为本，{syndrome}为标，治以{principle}。", "{person}认为{tcm_disease}的基本病机是{syndrome}，主张{principle}与{principle}并重。", "{syndrome}是{disease}的主要证型，占{p}，其次为{syndrome}。", "其治疗应遵循{principle}的原则，用{formula}或{formula}。", "{symptom}、{symptom}为{tcm_disease}的主要表现。",
        "{disease}急性期多见{syndrome}，缓解期多见{syndrome}。", "{principle}法适用于{syndrome}所致的{tcm_disease}。", "凡见{symptom}、{symptom}、{tongue}、{pulse}者，即可用{formula}。",
    ),
    "textbook": (
        "{herb}，味甘，性平，具有{principle}、{principle}的功效，主治{symptom}、{symptom}、{symptom}。", "{formula}：{herb_dose*3-8,}。功用：{principle}，{principle}。主治：{syndrome}。", "{syndrome}：症见{symptom*3-7}，{tp}。治法：{principle}。方药：{formula}加减。", "{syndrome}。证候：{symptom*3-6,}，{tp}。治则：{principle}。代表方：{formula}。常用药：{herb*4-10}。",
        "{formula}主治{syndrome}，临床以{symptom}、{symptom}、{tongue}、{pulse}为辨证要点。", "{patent}用于{syndrome}引起的{symptom}、{symptom}、{symptom}。", "【功能主治】{principle}，{principle}。用于{disease}、{disease}见{symptom}者。【用法用量】{usage}。", "【成份】{herb*3-12}。【功能主治】{principle}，{principle}。用于{syndrome}所致的{tcm_disease}，症见{symptom*2-6}。",
        "{western_drug}用于治疗{disease}、{disease}，常见不良反应有{symptom}、{symptom}和{symptom}。", "{disease}的典型表现为{symptom}、{symptom}，可伴有{symptom}。确诊依靠{exam}和{exam}。", "{disease}的治疗包括{western_treatment}、{western_treatment}，药物可选{western_drug}或{western_drug}。", "{disease}患者应定期复查{exam}、{exam}。",
        "{herb}与{herb}相须为用，可增强{principle}之力。", "{symptom}可选用{acupoint*2-5}等穴。", "主症：{symptom}，{symptom}。次症：{symptom}，{symptom}，{tp}。", "孕妇禁用{herb}、{herb}、{herb}等药。",
    ),
    "case": (
        "{patient}，{sex}，{age}，{date}初诊。主诉：{symptom}{duration}。现病史：患者{duration}前出现{symptom}，伴{symptom}、{symptom}，曾服{drugs}无效。刻下症：{symptom*3-6}，{tp}。{exam}示：{disease}。西医诊断：{disease}。中医诊断：{tcm_disease}，{syndrome}。治法：{principle}。方用{formula}加减：{herb_dose*5-12,}。{small}剂，{usage}。",
        "{patient}，{sex}，{age}。因{symptom}{duration}就诊。症见{symptom*2-5,}，{tp}。证属{syndrome}，治以{principle}。处方：{herb_dose*4-10,}。{usage}。", "患者{sex}，{age}，反复{symptom}{duration}，加重{duration}。既往有{disease}、{disease}病史。入院后查{exam}、{exam}，诊断为{disease}。给予{western_treatment}、{western_treatment}，并口服{drugs}。",
        "二诊：服药{small}剂后，{symptom}减轻，{symptom}消失，仍有{symptom}，{tp}。守上方去{herb}，加{herb_dose}、{herb_dose}。", "三诊：诸症悉减，{tongue}，{pulse}，继服{formula}以巩固疗效。", "查体：{tp}，{symptom}。辅助检查：{exam}、{exam}未见异常。初步诊断：{disease}。转{department}进一步治疗。", "辨证：{syndrome}。治则：{principle}，{principle}。方药：{formula}合{formula}。",
        "既往史：{disease}病史{duration}，长期口服{western_drug}、{western_drug}。", "现症见：{symptom}，{symptom}，{symptom}，纳可，二便调，{tp}。",
    ),
    "prescription": (
        "处方：{herb_dose*6-14,}。{small}剂，{usage}。", "{herb_dose*5-12}，{usage}。", "药用：{herb_dose*5-10 }。", "基本方：{herb_dose*4-10,}。每日1剂，{small}天为1个疗程。", "{formula}组成：{herb*4-10}。{symptom}加{herb_dose}；{symptom}加{herb_dose}、{herb_dose}。", "方药：{herb}、{herb}各{dose}，{herb_dose*3-8,}。", "Rp：{western_drug}{drug_dose}，{usage}；{patent}，{usage}。",
        "外用方：{herb*3-7}，煎汤熏洗，每日2次。", "{formula}加减（{herb_dose*4-9,}）。",
    ),
    "question": (
        "医生您好，我{family}今年{age}，最近总是{symptom}，还{symptom}，去医院{department}查了{exam}，说是{disease}，请问吃{drugs}可以吗？", "我{family}得了{disease}{duration}了，现在{symptom}，应该挂哪个科，能吃{any_tcm}吗？", "请问{disease}会引起{symptom}吗？需要做{exam}吗？", "本人{sex}，{age}，{symptom}有{duration}了，怀疑是{disease}，该怎么治疗？", "患有{disease}，一直吃{western_drug}，最近{symptom}、{symptom}，是不是副作用？",
        "医生：您好，有{symptom}吗？\n患者：没有，就是{symptom}，{duration}了。\n医生：做过{exam}吗？\n患者：做过，说是{disease}。\n医生：可以先吃{drugs}。",
    ),
    "answer": (
        "您好，根据您的描述考虑是{disease}，建议到{department}做{exam}，可以口服{drugs}治疗，平时注意休息。", "这种情况可能是{disease}或{disease}引起的，建议检查{exam}、{exam}。", "{disease}一般会有{symptom}、{symptom}、{symptom}等表现，治疗可以用{drugs}，也可以配合{therapy}。", "可以用{any_tcm}调理，同时服用{patent}，必要时进行{western_treatment}。", "如果出现{symptom}、{symptom}，要及时到{department}就诊。",
        "{disease}属于常见病，中医辨证多为{syndrome}，可用{herb*2-5}煎水服用。",
    ),
    "structured": (
        "主诉：{symptom}{duration}\n现病史：{duration}前出现{symptom}，伴{symptom}\n既往史：{disease}\n诊断：{disease}\n处方：{western_drug}{drug_dose} {usage}", "姓名：{patient}\n年龄：{age}\n科室：{department}\n西医诊断：{disease}\n中医诊断：{tcm_disease}\n证型：{syndrome}\n治法：{principle}\n处方：{herb_dose*4-10,}",
        "中医诊断：{tcm_disease}（{syndrome}）；西医诊断：{disease}；治则：{principle}；方剂：{formula}。", "诊断：1.{disease} 2.{disease} 3.{disease}\n检查：{exam*2-4}\n治疗：{western_treatment*1-3}；{drugs}",
    ),
}  # fmt: skip
