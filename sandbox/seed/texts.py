"""What people in the sandbox write. All of it is invented."""

# ruff: noqa: RUF001 - the texts are in several alphabets on purpose

SHORT = (
    "Hi! Is the blue one still available?",
    "Thanks, that works for me.",
    "Could you send the invoice again? The link has expired.",
    "ok",
    "Sure, give me five minutes.",
    "We deliver on weekdays between 9:00 and 18:00.",
    "Is there a discount for 3+ units?",
    "Perfect, see you tomorrow at 10:30.",
    "The total is $1,249.90, shipping included.",
    "Bom dia! Vocês têm esse modelo no tamanho M?",
    "Não recebi o código de rastreio ainda.",
    "Pode ser às 14h? Tenho reunião até as 13h30.",
    "Obrigada, vou fazer o pix agora.",
    "A peça chegou com um arranhão na lateral, e agora?",
    "Buenas tardes, ¿hacen envíos a Córdoba?",
    "¿Cuánto cuesta la instalación completa?",
    "Mañana paso a retirarlo, ¿hasta qué hora están?",
    "El año pasado compré lo mismo y todavía funciona.",
    "Добрый день! Подскажите, есть ли самовывоз?",
    "Спасибо, заказ получил, всё цело.",
    "А можно перенести доставку на четверг?",
    "Счёт выставили, ждём оплату до пятницы.",
    "مرحبا، هل المنتج متوفر باللون الأسود؟",
    "شكرا جزيلا، وصل الطلب اليوم.",
    "كم سعر التوصيل إلى المطار؟",
    "Great news 🎉🎉",
    "👍🏽",
    "Our family 👨‍👩‍👧‍👦 is coming along, is that fine?",
    "From 🇧🇷 to 🇵🇹 in four days, wow",
    "🏳️‍🌈 ❤️‍🔥 👩🏿‍🚀",
    "Café at noon, or at the old cafe\u0301?",
)

AWKWARD = (
    "null",
    "NaN",
    "Infinity",
    "true",
    "007",
    "1e5",
    "-0",
    "0",
    "2024-02-30",
    "  two spaces before and after  ",
    " ",
    "first line\nsecond line\n\nfourth line",
    "old machine\r\nline end",
    "name\tqty\tprice\nchair\t4\t99,90",
    'She said "maybe", then "yes".',
    "it's 5' 11\" tall",
    "C:\\new\\table\\0001",
    "\\N",
    "a,b;c|d,\"e\",'f'",
    "=SUM(A1:A9)",
    "<b>not bold</b> &amp; not an ampersand",
    '{"looks": ["like", "JSON"]}',
    "100% sure, %s and {placeholder} stay as they are",
    "'; SELECT 1; --",
    "zero\u200bwidth and a no\u00a0break space",
    "line\u2028separator",
)

PARAGRAPHS = (
    (
        "Here is the whole story, since I have told it to three people by now. The "
        "table was ordered in March, the legs came in April, and the top went to our "
        "old address although I had changed it twice."
    ),
    (
        "Segue o orçamento detalhado: duas bancadas em madeira clara, quatro bancos, "
        "montagem no local e retirada das embalagens. O prazo começa a contar depois "
        "da confirmação das medidas."
    ),
    (
        "Les cuento cómo quedó: la pared del fondo está húmeda, así que el técnico "
        "recomienda esperar diez días antes de pintar. Mientras tanto dejamos los "
        "muebles cubiertos en el pasillo."
    ),
    (
        "Пишу подробно, чтобы ничего не потерялось. Шкаф собрали, но одна дверца не "
        "закрывается до конца, а ручки привезли другого цвета. Мастер обещал "
        "вернуться в понедельник с новыми."
    ),
    (
        "تفاصيل الطلب كما اتفقنا: ثلاث طاولات صغيرة، كرسيان، ومصباح واحد. يرجى "
        "الاتصال قبل الوصول بنصف ساعة لأن البوابة مغلقة في المساء."
    ),
    "P.S. Please ring twice 🔔🔔, the dog 🐕‍🦺 only barks once.",
)

CAPTIONS = (
    "this is how it looks",
    "comprovante",
    "así llegó la caja 📦",
    "вот фото",
    "الصورة هنا",
)

CLIENT_NAMES = (
    "Marina Duarte",
    "João Antônio Falcão",
    "Íñigo Peñalba",
    "Lucía Aráoz",
    "Олеся Вербина",
    "Тимур Гаев",
    "نور الهادي",
    "سامر قاسم",
    "Ann O'Tool",
    "Bo",
    'Ken "The Lamp" Adler',
    "✨ Vivi ✨",
)

MANAGER_NAMES = ("Paula Reis", "Diego Soto", "Irina Lapina", "Sam Whitfield")

BOT_NAME = "Night desk 🤖"
