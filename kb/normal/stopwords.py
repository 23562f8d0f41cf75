"""Words that carry no subject: articles, pronouns, courtesy, and what callers say to begin. Pure."""

from __future__ import annotations


# Question words stay out of the search but count for the language guess. `sin` and `no` stay
# words: "sin luz" is another question than "luz".
SPANISH = frozenset(
    """
    a acuerdo ademas ahi ahora al algo alguien algun alguna algunas algunos alla alli alo ante
    antes aquel aquella aqui asi aun aunque bien bueno buen buena buenas buenos cada casi claro
    como con conmigo cosa cosas creo cual cuales cualquier cuando cuanta cuantas cuanto cuantos
    da dan dar de deberia debo debe del dejar desde desea deseo dia dias dice dices dicho dicen
    digame diga dime donde dos e eh el ella ellas ellos em en encantaria entonces era eran eres es
    esa esas ese eso esos esta estaba estan estar estas este esto estos estoy explica explicame
    explicar explicarme explicas favor fue fuera gracias gustaria ha habia haber hablar hace hacen
    hacer hago han has hasta hay he hola hoy igual ir la las le les lo los luego mas me mejor mi
    mia mio mira mire mis mismo momento mucho muy nada necesito necesita ni nos nosotros
    o oiga oye os otra otras otro otros para pero perdona perdone podeis podemos poder podria
    podrian podrias porque porfa porfavor por pregunta preguntar primero pues puede pueden puedes
    puedo que quería queria querria quien quienes quiera quiere quieren quiero quisiera rato
    saber sabe sabeis saben sabes se sea sera ser si sido sobre solo son soy su sus suyo tal tambien
    tampoco tan tanto te teneis tenemos tener tenga tengo tenia ti tiene tienen tienes tipo toda
    todas todavia todo todos tu tus u un una unas uno unos usted ustedes va vale vais vamos van
    vaya ver verdad vez voy y ya yo vosotros vuestra vuestro vuestras vuestros vereis vera
    llamo llamaba informacion informar informarme decir decirme decirle consulta consultar dudas
    duda cuestion tema relacion respecto resulta pasa pasaria supuesto exactamente mas menos
    """.split()
)
ENGLISH = frozenset(
    """
    a about after all also am an and any are as at be been but by can could dear did do does
    doing done for from get give go going good got had has have having hello her here hey hi him
    his how i if in info information into is it its just know let like me mine my need of ok okay
    on or our please question really right say see she should so some sorry tell than thank thanks
    that the their them then there these they thing this those to too um us very want was
    we well were what when where which who whom why will with would yes you your yours
    wonder wondering mean myself able
    """.split()
)
# Words that tell the language of a short question by themselves.
SPANISH_SIGNS = SPANISH - ENGLISH | {"sin", "luz", "agua", "factura"}
ENGLISH_SIGNS = ENGLISH - SPANISH | {"bill", "water", "power", "not", "no_"}
